//! What is sent to a server over and over, one kind of request each.

use std::{net::SocketAddr, ops::Range};

use crate::{
    Outcome,
    data::Size,
    driver::{Answer, Pace, Sent, Work, drive},
    failed, request,
};

/// Something that needs no more than its path.
#[derive(Debug)]
pub struct Get(pub &'static str);

impl Work for Get {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        request::get(self.0, request);
        Some(Sent { kind: self.0, item: 0 })
    }
}

/// One user after the other signs in, and then the first again.
#[derive(Debug)]
pub struct SignIns {
    requests: Vec<Vec<u8>>,
    next: usize,
    /// How many of those who were told to come back were told when.
    pub told_when: u64,
}

impl SignIns {
    /// The operation.
    pub const KIND: &'static str = "createCode";

    /// Every user of a school; a thousand of many, from all over it.
    pub fn new(size: Size) -> Self {
        let users = size.users.min(1000);
        let requests = (0..users).map(|number| {
            let mut request = Vec::new();
            request::sign_in(&request::email(number * (size.users / users)), request::PASSWORD, &mut request);
            request
        });
        Self { requests: requests.collect(), next: 0, told_when: 0 }
    }
}

impl Work for SignIns {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let item = self.next % self.requests.len();
        request.extend_from_slice(&self.requests[item]);
        self.next += 1;
        Some(Sent { kind: Self::KIND, item })
    }

    fn answered(&mut self, _: Sent, answer: &Answer) {
        self.told_when +=
            u64::from(answer.status == 503 && answer.retry_after.is_some_and(|after| after > 0));
    }
}

/// Codes are swapped for tokens, each once.
#[derive(Debug)]
pub struct Exchanges {
    codes: std::vec::IntoIter<String>,
    /// The access tokens, by the place of their code.
    pub tokens: Vec<String>,
}

impl Exchanges {
    /// The operation.
    pub const KIND: &'static str = "createToken";

    /// Swaps these.
    pub fn new(codes: Vec<String>) -> Self {
        Self { tokens: vec![String::new(); codes.len()], codes: codes.into_iter() }
    }
}

impl Work for Exchanges {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let item = self.tokens.len() - self.codes.len();
        request::exchange(&self.codes.next()?, request);
        Some(Sent { kind: Self::KIND, item })
    }

    fn answered(&mut self, sent: Sent, answer: &Answer) {
        self.tokens[sent.item] = request::token_in(answer.body).unwrap_or_default();
    }
}

/// Owners draw codes for their classes, whichever comes.
#[derive(Debug)]
pub struct Draws<'a> {
    size: Size,
    tokens: &'a [String],
    random: fastrand::Rng,
}

impl<'a> Draws<'a> {
    /// The operation.
    pub const KIND: &'static str = "generateJoinCode";

    /// Draws with the tokens of the owners.
    pub fn new(size: Size, tokens: &'a [String]) -> Self {
        Self { size, tokens, random: fastrand::Rng::with_seed(3) }
    }
}

impl Work for Draws<'_> {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let class = self.random.usize(..self.size.classes);
        request::draw(class, &self.tokens[class % self.size.owners()], request);
        Some(Sent { kind: Self::KIND, item: class })
    }
}

/// Students join classes by the codes that those have from the beginning, each class once.
#[derive(Debug)]
pub struct Joins<'a> {
    size: Size,
    tokens: &'a [String],
    next: usize,
}

impl<'a> Joins<'a> {
    /// The operation.
    pub const KIND: &'static str = "joinClassByCode";

    /// Joins with the tokens of users who own nothing.
    pub fn new(size: Size, tokens: &'a [String]) -> Self {
        Self { size, tokens, next: 0 }
    }

    /// The next pair of a student and a class in the upper half of all; nobody draws for those.
    pub fn pair(&mut self) -> (usize, usize) {
        let number = self.next;
        self.next += 1;
        let half = self.size.classes / 2;
        (number % self.tokens.len(), half + (number / self.tokens.len()) % half)
    }
}

impl Work for Joins<'_> {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let (student, class) = self.pair();
        request::join(&crate::data::first_join_code(class), &self.tokens[student], request);
        Some(Sent { kind: Self::KIND, item: class })
    }
}

/// These users sign in, each once, and their codes are kept.
struct Codes {
    users: Range<usize>,
    codes: Vec<String>,
}

impl Work for Codes {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let item = self.codes.len() - self.users.len();
        request::sign_in(&request::email(self.users.next()?), request::PASSWORD, request);
        Some(Sent { kind: SignIns::KIND, item })
    }

    fn answered(&mut self, sent: Sent, answer: &Answer) {
        self.codes[sent.item] = request::code_in(answer.body).unwrap_or_default();
    }
}

/// The access tokens of the first so many users, got as anybody gets them.
pub fn tokens(server: SocketAddr, users: usize) -> Outcome<Vec<String>> {
    // A few at a time, since a code lives for a minute.
    let mut tokens = Vec::with_capacity(users);
    for begin in (0..users).step_by(500) {
        tokens.append(&mut tokens_of(server, begin..users.min(begin + 500))?);
    }
    Ok(tokens)
}

/// The access tokens of these users.
pub fn tokens_of(server: SocketAddr, users: Range<usize>) -> Outcome<Vec<String>> {
    let mut codes = Codes { codes: vec![String::new(); users.len()], users };
    drive(&[server], &Pace::to_the_end(16), &mut codes)?.one(&[(SignIns::KIND, 201)])?;
    let mut exchanges = Exchanges::new(codes.codes);
    drive(&[server], &Pace::to_the_end(16), &mut exchanges)?.one(&[(Exchanges::KIND, 201)])?;
    if exchanges.tokens.iter().any(String::is_empty) {
        return failed("an answer held no token");
    }
    Ok(exchanges.tokens)
}
