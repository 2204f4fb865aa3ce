//! `createToken` against the two signatures that it makes.

use std::{
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::RSA_PKCS1_SHA256,
};

use super::{Bench, CONNECTIONS};
use crate::{
    Outcome, cores,
    driver::{Pace, drive},
    failed,
    report::{Bound::AtLeast, median},
    server::Server,
    work::Exchanges,
};

/// What a signature cost on the machine that the bound was set on, in seconds.
const SIGNATURE: f64 = 0.66e-3;

pub fn run(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "token";
    let (data, _) = bench.school()?;
    let server = Server::start(&data)?;
    let (mut rates, mut signatures, mut costs) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        signatures.push(signatures_a_second(bench.duration(3.0))?);
        let tally = exchange(&server, &data, bench.seconds(3.0), &mut costs)?;
        rates.push(tally);
    }
    let (rate, signed) = (median(&rates), median(&signatures));
    let cores = cores() as f64;
    bench.report.tell(PART, "one RS256 signature", cores / signed * 1000.0, "ms");
    bench.report.tell(PART, "createToken, 64 connections", rate, "/s");
    bench.report.tell(PART, "createToken, processor time of each", median(&costs), "ms");
    // The bound is on a fixed price. What the signature costs in this run says how much is left to be gained.
    let whole = rate / (signed / 2.0);
    bench.report.tell(PART, "createToken / what two signatures of this run leave", whole, "");
    let most = cores / (2.0 * SIGNATURE);
    let what = "createToken / what two signatures of 0.66 ms leave";
    bench.report.hold(PART, what, rate / most, "", AtLeast(0.85));
    Ok(())
}

/// Swaps codes for about so many seconds, and says how many a second.
pub fn exchange(
    server: &Server,
    data: &crate::data::Data,
    seconds: f64,
    costs: &mut Vec<f64>,
) -> Outcome<f64> {
    // No machine signs faster than this; what is left of the codes expires.
    let codes = data.codes((seconds * 1200.0) as usize * cores())?;
    let processor = server.processor()?;
    let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, seconds), &mut Exchanges::new(codes))?
        .one(&[(Exchanges::KIND, 201)])?;
    let answers = tally.count(Exchanges::KIND, 201) as f64;
    costs.push((server.processor()? - processor) / answers * 1000.0);
    Ok(tally.rate(Exchanges::KIND, 201))
}

/// What all cores sign, each with the same kept key.
fn signatures_a_second(duration: Duration) -> Outcome<f64> {
    let key = KeyPair::generate(KeySize::Rsa2048)?;
    let begin = Instant::now();
    let signed: Option<u32> = thread::scope(|scope| {
        let sign = || {
            let (random, mut signature) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
            let mut count = 0;
            while begin.elapsed() < duration {
                key.sign(&RSA_PKCS1_SHA256, &random, &[0x2E; 512], &mut signature).ok()?;
                count += 1;
            }
            Some(count)
        };
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(sign)).collect();
        threads.into_iter().map(|thread| thread.join().ok().flatten()).sum()
    });
    let Some(signed) = signed else { return failed("a signature failed") };
    Ok(f64::from(signed) / begin.elapsed().as_secs_f64())
}
