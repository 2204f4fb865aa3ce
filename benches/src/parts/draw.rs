//! `generateJoinCode` against the same statement in a bare loop, on both databases, and beside sign-ins.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

use super::{Bench, CONNECTIONS, SCHOOL};
use crate::{
    Outcome,
    data::Data,
    driver::{Pace, drive},
    failed,
    report::{
        Bound::{AtLeast, AtMost},
        median,
    },
    server::Server,
    sqlite,
    work::{Draws, SignIns},
};

/// On SQLite, against a loop of the same prepared `UPDATE` on a copy of the file.
pub fn on_sqlite(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "draw";
    let (data, tokens) = bench.school()?;
    let (server, copy) = beside_a_copy(&data)?;
    let mut draws = Draws::new(data.size, &tokens);
    let (mut rates, mut bare_rates, mut costs, mut p99s) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        bare_rates.push(sqlite::bare_draws(&copy, data.size, bench.duration(5.0))?);
        let processor = server.processor()?;
        let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, bench.seconds(5.0)), &mut draws)?
            .one(&[(Draws::KIND, 200)])?;
        let answers = tally.count(Draws::KIND, 200) as f64;
        costs.push((server.processor()? - processor) / answers * 1e6);
        rates.push(tally.rate(Draws::KIND, 200));
        p99s.push(tally.quantile(Draws::KIND, 200, 0.99));
    }
    let (rate, bare) = (median(&rates), median(&bare_rates));
    bench.report.tell(PART, "bare UPDATE on SQLite, FULL, a commit each", bare, "/s");
    bench.report.tell(PART, "generateJoinCode, 64 connections", rate, "/s");
    bench.report.tell(PART, "generateJoinCode, p99", median(&p99s), "ms");
    bench.report.tell(PART, "generateJoinCode, processor time of each", median(&costs), "us");
    bench.report.hold(PART, "generateJoinCode / bare UPDATE", rate / bare, "", AtLeast(1.2));
    Ok(())
}

/// Starts a server on SQLite, beside a copy of its file for the bare loop.
pub fn beside_a_copy(data: &Data) -> Outcome<(Server, PathBuf)> {
    // In this order: the server writes.
    let copy = data.copy_of_file()?;
    Ok((Server::start(data)?, copy))
}

/// On PostgreSQL, against `pgbench` with the same statement on the same table.
pub fn on_postgres(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "postgres";
    let url = crate::postgres()?;
    let (like, tokens) = bench.school()?;
    let data = Data::postgres(SCHOOL, url.clone(), Some(&like))?;
    let script = data.path().join("pgbench.sql");
    fs::write(
        &script,
        format!(
            "\\set class random(0, {})\n\\set owner :class % {}\n\\set code random(0, 1099511627775)\n\
             UPDATE classes SET join_code = lpad(to_hex(:code::bigint), 10, '0'), \
             join_code_expires_at = '2099-01-01T00:00:00Z' \
             WHERE id = ('00000000-0000-7000-9000-' || lpad(to_hex(:class::int), 12, '0'))::uuid \
             AND owner_id = ('00000000-0000-7000-8000-' || lpad(to_hex(:owner::int), 12, '0'))::uuid;\n",
            SCHOOL.classes - 1,
            SCHOOL.owners(),
        ),
    )?;
    let server = Server::start(&data)?;
    let mut draws = Draws::new(data.size, &tokens);
    let (mut rates, mut bare_rates, mut p99s) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let seconds = bench.seconds(6.0);
        let arguments = ["-n", "-M", "prepared", "-c", "16", "-j", "2", "-T", &format!("{seconds:.0}"), "-f"];
        let output = Command::new("pgbench").args(arguments).arg(&script).arg(&url).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        match tps {
            Some(tps) if output.status.success() => bare_rates.push(tps.parse()?),
            _ => return failed(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr))),
        }
        let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, seconds), &mut draws)?
            .one(&[(Draws::KIND, 200)])?;
        rates.push(tally.rate(Draws::KIND, 200));
        p99s.push(tally.quantile(Draws::KIND, 200, 0.99));
    }
    let (rate, bare) = (median(&rates), median(&bare_rates));
    bench.report.tell(PART, "pgbench -M prepared -c 16, the same UPDATE", bare, "/s");
    bench.report.tell(PART, "generateJoinCode, 64 connections", rate, "/s");
    bench.report.tell(PART, "generateJoinCode, p99", median(&p99s), "ms");
    bench.report.hold(PART, "generateJoinCode / pgbench", rate / bare, "", AtLeast(1.0));
    Ok(())
}

/// Over four connections, while sixty-four do nothing but sign in.
pub fn beside_sign_in(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "beside";
    let (data, tokens) = bench.school()?;
    let server = Server::start(&data)?;
    let seconds = bench.seconds(15.0);
    let (address, size) = (server.address, data.size);
    let mut draws = Draws::new(size, &tokens);
    let crowd = thread::spawn(move || {
        let tally = drive(&[address], &Pace::closed(CONNECTIONS, seconds + 2.0), &mut SignIns::new(size));
        tally.map_err(|error| error.to_string())
    });
    thread::sleep(Duration::from_millis(500));
    let tally = drive(&[address], &Pace::closed(4, seconds), &mut draws)?.one(&[(Draws::KIND, 200)])?;
    let Ok(crowd) = crowd.join() else { return failed("the crowd panicked") };
    let crowd = crowd?.one(&[(SignIns::KIND, 201)])?;
    bench.report.tell(PART, "createCode meanwhile, 64 connections", crowd.rate(SignIns::KIND, 201), "/s");
    bench.report.tell(PART, "generateJoinCode beside it, 4 connections", tally.rate(Draws::KIND, 200), "/s");
    bench.report.tell(PART, "generateJoinCode beside it, p50", tally.quantile(Draws::KIND, 200, 0.5), "ms");
    let p99 = tally.quantile(Draws::KIND, 200, 0.99);
    bench.report.hold(PART, "generateJoinCode beside it, p99", p99, "ms", AtMost(15.0));
    Ok(())
}
