//! What a school costs that is a hundred and a thousand times as large.

use super::{Bench, CONNECTIONS, draw, token};
use crate::{
    Outcome,
    data::{Data, Size},
    driver::{Pace, drive},
    report::{
        Bound::{AtLeast, AtMost},
        median,
    },
    sqlite,
    work::{Draws, SignIns},
};

#[derive(Default)]
struct Rates {
    sign_in: Vec<f64>,
    token: Vec<f64>,
    draw: Vec<f64>,
    bare: Vec<f64>,
}

pub fn run(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "growth";
    let (like, tokens) = bench.school()?;
    let mut schools = Vec::new();
    for count in [1000, 100_000, 1_000_000] {
        let data = Data::sqlite(Size { users: count, classes: count }, Some(&like))?;
        let (server, copy) = draw::beside_a_copy(&data)?;
        schools.push((data, server, copy, Rates::default()));
    }
    for _ in 0..3 {
        for (data, server, copy, rates) in &mut schools {
            let size = data.size;
            let seconds = bench.seconds(3.0);
            let pace = Pace::closed(CONNECTIONS, seconds);
            let tally = drive(&[server.address], &pace, &mut SignIns::new(size))?;
            rates.sign_in.push(tally.one(&[(SignIns::KIND, 201)])?.rate(SignIns::KIND, 201));
            rates.token.push(token::exchange(server, data, seconds, &mut vec![])?);
            let tally = drive(&[server.address], &pace, &mut Draws::new(size, &tokens))?;
            rates.draw.push(tally.one(&[(Draws::KIND, 200)])?.rate(Draws::KIND, 200));
            rates.bare.push(sqlite::bare_draws(copy, size, bench.duration(3.0))?);
        }
    }
    let smallest = schools.first().map(|(.., rates)| (median(&rates.sign_in), median(&rates.token)));
    let Some((least_sign_in, least_token)) = smallest else { return Ok(()) };
    for (data, _, _, rates) in &schools {
        let count = data.size.users;
        let (sign_in, token) = (median(&rates.sign_in), median(&rates.token));
        let (draw, bare) = (median(&rates.draw), median(&rates.bare));
        let mut tell = |what: &str, value| bench.report.tell(PART, &format!("{count}: {what}"), value, "/s");
        tell("createCode", sign_in);
        tell("createToken", token);
        tell("bare UPDATE", bare);
        tell("generateJoinCode", draw);
        let mut hold = |what: &str, value, bound| {
            bench.report.hold(PART, &format!("{count}: {what}"), value, "", bound);
        };
        hold("cost of createCode / with 1000", least_sign_in / sign_in, AtMost(1.3));
        hold("cost of createToken / with 1000", least_token / token, AtMost(1.3));
        hold("generateJoinCode / bare UPDATE", draw / bare, AtLeast(1.2));
    }
    Ok(())
}
