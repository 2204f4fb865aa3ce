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
    marks: Arc<Mutex<Marks>>,
}

#[derive(Default)]
struct Marks {
    /// The text of the statement to affect, and the effect.
    armed: Option<(&'static str, Fate)>,
    lost: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    AnswerLost,
    KeptBack,
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
        let marks = Arc::new(Mutex::new(Marks::default()));
        let shared = marks.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, marks) = (server.clone(), shared.clone());
                tokio::spawn(async move {
                    // Either end may close.
                    _ = carry(client, TcpStream::connect(server).await.unwrap(), &marks).await;
                });
            }
        });
        // Without its statement cache, the driver sends the text of each statement.
        url.query_pairs_mut().append_pair("statement-cache-capacity", "0");
        Self { location: url.as_str().parse().unwrap(), marks }
    }

    /// Loses the response to the next statement that contains this text.
    pub fn lose_answer_to(&self, words: &'static str) {
        self.marks.lock().unwrap().armed = Some((words, Fate::AnswerLost));
    }

    /// Holds back the next statement that contains this text.
    pub fn keep_back(&self, words: &'static str) {
        self.marks.lock().unwrap().armed = Some((words, Fate::KeptBack));
    }

    /// Delays the next statement that contains this text, and reports when it is sent.
    pub async fn slow_down(&self, words: &'static str) {
        self.marks.lock().unwrap().armed = Some((words, Fate::Slow));
        while self.marks.lock().unwrap().armed.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The number of lost responses.
    pub fn lost(&self) -> usize {
        self.marks.lock().unwrap().lost
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, marks: &Mutex<Marks>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // The first response is that to the preparation, the second that to the execution.
    let mut left: Option<(u8, Fate)> = None;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let asked = &asked[..read?];
                if asked.is_empty() {
                    return Ok(());
                }
                let fated = take_if_in(marks, asked);
                if let Some((_, Fate::Slow)) = fated {
                    tokio::time::sleep(SLOW).await;
                } else if let Some((words, fate)) = fated {
                    // A simple query, such as COMMIT, has only one response.
                    left = Some((if words == "COMMIT" { 1 } else { 2 }, fate));
                } else if left == Some((1, Fate::KeptBack)) {
                    pending::<()>().await;
                }
                server.write_all(asked).await?;
            }
            read = server.read(&mut answered) => {
                let answer = &answered[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                // A response ends with `ReadyForQuery`.
                let whole = answer.len() >= 6 && answer[answer.len() - 6..answer.len() - 1] == [b'Z', 0, 0, 0, 5];
                if whole {
                    left = left.map(|(left, fate)| (left - 1, fate));
                }
                match left {
                    Some((0, Fate::AnswerLost)) => {
                        marks.lock().unwrap().lost += 1;
                        return Ok(());
                    }
                    _ => client.write_all(answer).await?,
                }
            }
        }
    }
}

/// The requested effect, if its text is in `asked`.
fn take_if_in(marks: &Mutex<Marks>, asked: &[u8]) -> Option<(&'static str, Fate)> {
    let text = String::from_utf8_lossy(asked);
    marks.lock().unwrap().armed.take_if(|(words, _)| text.contains(*words))
}
