//! The ratios, each measured with what it is compared with in the same run: side by side, in rounds, of which the
//! median counts.

mod draw;
mod growth;
mod memory;
mod micro;
mod overload;
mod sign_in;
mod start;
mod token;

use std::{rc::Rc, time::Duration};

use crate::{
    Outcome,
    data::{Data, Size},
    failed,
    report::Report,
    server::Server,
    work,
};

type Part = fn(&mut Bench) -> Outcome<()>;

/// Each part, by its name.
const PARTS: &[(&str, Part)] = &[
    ("micro", micro::run),
    ("sign-in", sign_in::run),
    ("draw", draw::on_sqlite),
    ("postgres", draw::on_postgres),
    ("beside", draw::beside_sign_in),
    ("token", token::run),
    ("start", start::run),
    ("memory", memory::run),
    ("overload", overload::run),
    ("growth", growth::run),
];

/// Connections that saturate.
const CONNECTIONS: usize = 64;

/// The school that everything but growth is measured on: owners of classes, and as many students.
const SCHOOL: Size = Size { users: 2000, classes: 10_000 };

/// What the parts share.
struct Bench {
    quick: bool,
    report: Report,
    random: fastrand::Rng,
    school: Option<(Rc<Data>, Rc<[String]>)>,
}

impl Bench {
    /// How often what is compared takes its turn.
    fn rounds(&self) -> usize {
        if self.quick { 3 } else { 5 }
    }

    /// How long a measurement takes of so many seconds: less if there is hurry.
    fn seconds(&self, full: f64) -> f64 {
        if self.quick { full / 3.0 } else { full }
    }

    fn duration(&self, full: f64) -> Duration {
        Duration::from_secs_f64(self.seconds(full))
    }

    /// The school on SQLite, and the tokens of all of its users, which are good at every server of this run.
    fn school(&mut self) -> Outcome<(Rc<Data>, Rc<[String]>)> {
        if let Some(school) = &self.school {
            return Ok(school.clone());
        }
        let data = Data::sqlite(SCHOOL, None)?;
        let server = Server::start(&data)?;
        let tokens = work::tokens(server.address, SCHOOL.users)?;
        let school = (Rc::new(data), Rc::from(tokens));
        self.school = Some(school.clone());
        Ok(school)
    }
}

/// Measures these parts, or all.
pub fn run(names: &[&str], quick: bool) -> Outcome<bool> {
    let known: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return failed(format!("there is no part {unknown}: the parts are {}", known.join(" ")));
    }
    let mut bench = Bench {
        quick,
        report: Report::begin("ratios"),
        random: fastrand::Rng::with_seed(20_260_504),
        school: None,
    };
    for (name, part) in PARTS {
        if (names.is_empty() || names.contains(name))
            && let Err(error) = part(&mut bench)
        {
            bench.report.broken(name, &error.to_string());
        }
    }
    bench.report.end()
}
