//! When a connection is used again.

use std::net::{Ipv4Addr, TcpListener};

use super::*;
use crate::work::Get;

/// A server that does as it is told: its clients find a connection made before it is accepted.
fn listen() -> (TcpListener, [SocketAddr; 1]) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, [address])
}

/// The connection that was made, if there is one.
fn accepted(listener: &TcpListener) -> Option<TcpStream> {
    listener.accept().ok().map(|(stream, _)| stream)
}

/// Reads what was asked, and answers it with these fields.
fn answer(stream: &mut TcpStream, fields: &str) {
    let asked = stream.read(&mut [0; 1024]).unwrap();
    assert_ne!(asked, 0);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
    // In one piece.
    assert_eq!(stream.write(answer.as_bytes()).unwrap(), answer.len());
}

impl Driver<'_> {
    fn ask(&mut self) {
        let mut request = Vec::new();
        let sent = Get("/").next(&mut request).unwrap();
        self.send(Carried { sent, due: Instant::now() }, &request).unwrap();
    }

    /// Takes the next thing that happens to a connection; says whether that was an answer.
    fn hear_next(&mut self) -> Outcome<bool> {
        let mut events = Vec::with_capacity(1);
        self.wait(&mut events, PATIENCE).unwrap();
        let now = Instant::now();
        self.hear(events[0].data.u64() as usize, now, now + PATIENCE, &mut Get("/"))
    }
}

#[test]
fn a_connection_is_used_again_unless_it_rested_for_too_long() {
    let (listener, servers) = listen();
    let mut driver = Driver::new(&servers).unwrap();
    driver.ask();
    let mut stream = accepted(&listener).unwrap();
    for _ in 0..2 {
        answer(&mut stream, "");
        assert!(driver.hear_next().unwrap());
        driver.ask();
    }
    answer(&mut stream, "");
    assert!(driver.hear_next().unwrap());
    driver.connections[0].rests_since = Instant::now().checked_sub(REST).unwrap();
    driver.ask();
    assert!(accepted(&listener).is_some());
}

#[test]
fn a_connection_that_the_server_says_it_will_end_is_not_used_again() {
    let (listener, servers) = listen();
    let mut driver = Driver::new(&servers).unwrap();
    for _ in 0..2 {
        driver.ask();
        answer(&mut accepted(&listener).unwrap(), "connection: close\r\n");
        assert!(driver.hear_next().unwrap());
    }
}

#[test]
fn a_connection_that_the_server_ends_while_it_rests_is_made_anew_when_it_is_needed() {
    let (listener, servers) = listen();
    let mut driver = Driver::new(&servers).unwrap();
    for _ in 0..2 {
        driver.ask();
        let mut stream = accepted(&listener).unwrap();
        answer(&mut stream, "");
        assert!(driver.hear_next().unwrap());
        drop(stream);
        assert!(!driver.hear_next().unwrap());
        assert!(accepted(&listener).is_none(), "made before there is anything to ask");
    }
}

#[test]
fn a_connection_that_the_server_ends_under_a_request_ends_the_run() {
    let (listener, servers) = listen();
    let mut driver = Driver::new(&servers).unwrap();
    driver.ask();
    let mut stream = accepted(&listener).unwrap();
    answer(&mut stream, "");
    assert!(driver.hear_next().unwrap());
    driver.ask();
    drop(stream);
    let error = driver.hear_next().unwrap_err().to_string();
    assert!(error.starts_with("a connection that carried a request, /: "), "{error}");
}
