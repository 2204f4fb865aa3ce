//! A proxy to PostgreSQL that can lose responses and delay statements.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use homeroom::db::DatabaseUrl;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

/// A proxy between a server and PostgreSQL. On request it loses the response to one statement by cutting the connection, or it holds one
/// statement back, or it delays one.
pub struct Proxy {
    /// The database URL through this proxy.
    pub location: DatabaseUrl,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The text of the statement to affect, and the effect.
    next: Option<(&'static str, Effect)>,
    lost: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    ResponseLost,
    HeldBack,
    Slow,
}

/// The delay of a slow statement.
const SLOW: Duration = Duration::from_millis(300);

impl Proxy {
    /// Starts a proxy to a database.
    pub async fn to(location: &DatabaseUrl) -> Self {
        let DatabaseUrl::Postgres(url) = location else { panic!("{location} is no server") };
        let mut url = Url::parse(url).unwrap();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        url.set_port(Some(port)).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, state) = (server.clone(), shared.clone());
                tokio::spawn(async move {
                    // Either end may close.
                    _ = forward(client, TcpStream::connect(server).await.unwrap(), &state).await;
                });
            }
        });
        // Without its statement cache, the driver sends the text of each statement.
        url.query_pairs_mut().append_pair("statement-cache-capacity", "0");
        Self { location: url.as_str().parse().unwrap(), state }
    }

    /// Loses the response to the next statement that contains this text.
    pub fn lose_response_to(&self, words: &'static str) {
        self.state.lock().unwrap().next = Some((words, Effect::ResponseLost));
    }

    /// Holds back the next statement that contains this text.
    pub fn hold_back(&self, words: &'static str) {
        self.state.lock().unwrap().next = Some((words, Effect::HeldBack));
    }

    /// Delays the next statement that contains this text, and reports when it is sent.
    pub async fn slow_down(&self, words: &'static str) {
        self.state.lock().unwrap().next = Some((words, Effect::Slow));
        while self.state.lock().unwrap().next.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The number of lost responses.
    pub fn lost(&self) -> usize {
        self.state.lock().unwrap().lost
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (mut request, mut response) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // The first response is that to the preparation, the second that to the execution.
    let mut remaining: Option<(u8, Effect)> = None;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let request = &request[..read?];
                if request.is_empty() {
                    return Ok(());
                }
                let taken = take_if_in(state, request);
                if let Some((_, Effect::Slow)) = taken {
                    tokio::time::sleep(SLOW).await;
                } else if let Some((words, effect)) = taken {
                    // A simple query, such as COMMIT, has only one response.
                    remaining = Some((if words == "COMMIT" { 1 } else { 2 }, effect));
                } else if remaining == Some((1, Effect::HeldBack)) {
                    pending::<()>().await;
                }
                server.write_all(request).await?;
            }
            read = server.read(&mut response) => {
                let answer = &response[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                // A response ends with `ReadyForQuery`.
                let whole = answer.len() >= 6 && answer[answer.len() - 6..answer.len() - 1] == [b'Z', 0, 0, 0, 5];
                if whole {
                    remaining = remaining.map(|(remaining, effect)| (remaining - 1, effect));
                }
                match remaining {
                    Some((0, Effect::ResponseLost)) => {
                        state.lock().unwrap().lost += 1;
                        return Ok(());
                    }
                    _ => client.write_all(answer).await?,
                }
            }
        }
    }
}

/// The requested effect, if its text is in `request`.
fn take_if_in(state: &Mutex<State>, request: &[u8]) -> Option<(&'static str, Effect)> {
    let text = String::from_utf8_lossy(request);
    state.lock().unwrap().next.take_if(|(words, _)| text.contains(*words))
}
