//! A way to PostgreSQL that loses answers, and on which statements are late.

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

/// Stands between a server and PostgreSQL. When it is told to, it has one statement done and then cuts the connection,
/// so that the one who made it never hears of it; or keeps one back; or takes its time with one.
pub struct Proxy {
    /// PostgreSQL, by this way.
    pub location: DatabaseUrl,
    marks: Arc<Mutex<Marks>>,
}

#[derive(Default)]
struct Marks {
    /// The words of the statement to which something is to happen, and what.
    armed: Option<(&'static str, Fate)>,
    lost: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    AnswerLost,
    KeptBack,
    Slow,
}

/// How long a slow statement takes on its way.
const SLOW: Duration = Duration::from_millis(300);

impl Proxy {
    /// Opens a way to a database.
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
        // Without its memory of statements, the driver sends the words of each, and we know them.
        url.query_pairs_mut().append_pair("statement-cache-capacity", "0");
        Self { location: url.as_str().parse().unwrap(), marks }
    }

    /// Loses the answer to the next statement with these words.
    pub fn lose_answer_to(&self, words: &'static str) {
        self.marks.lock().unwrap().armed = Some((words, Fate::AnswerLost));
    }

    /// Keeps the next statement with these words back for good.
    pub fn keep_back(&self, words: &'static str) {
        self.marks.lock().unwrap().armed = Some((words, Fate::KeptBack));
    }

    /// Takes its time with the next statement with these words, and says when it is on its way.
    pub async fn slow_down(&self, words: &'static str) {
        self.marks.lock().unwrap().armed = Some((words, Fate::Slow));
        while self.marks.lock().unwrap().armed.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.marks.lock().unwrap().lost
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, marks: &Mutex<Marks>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // Once the statement was sent, it is prepared by one answer and done by the second.
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
                    // What is not prepared is done at once: the simple query of a commit.
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
                // An answer ends with `ReadyForQuery`.
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

/// What is armed, if its words are in `asked`.
fn take_if_in(marks: &Mutex<Marks>, asked: &[u8]) -> Option<(&'static str, Fate)> {
    let text = String::from_utf8_lossy(asked);
    marks.lock().unwrap().armed.take_if(|(words, _)| text.contains(*words))
}
