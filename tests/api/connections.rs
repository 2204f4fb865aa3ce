//! The limit on connections of one address, and requests of other addresses meanwhile.

use std::{net::IpAddr, time::Duration};

use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{
    Kind,
    process::{Server, Site},
};

/// A request whose body does not arrive.
const SLOW_BODY: &[u8] = b"POST /api/v1/codes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                           Content-Length: 9\r\n\r\n{";

async fn connect_from(address: &str, server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let address: IpAddr = address.parse().unwrap();
    socket.bind((address, 0).into()).unwrap();
    socket.connect(server.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap()
}

/// Whether a request from this address gets a response.
async fn is_answered(address: &str, server: &Server) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let client = Client::builder().no_proxy().local_address(address).timeout(Duration::from_secs(5));
    let request = client.build().unwrap().get(format!("{}/health/live", server.url));
    request.send().await.is_ok_and(|answer| answer.status() == 200)
}

/// Opens slow connections, and returns those that stay open.
async fn attack(address: &str, count: usize, server: &Server) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = connect_from(address, server).await;
        _ = stream.write_all(SLOW_BODY).await;
        open.push(stream);
    }
    sleep(Duration::from_millis(500)).await;
    let mut left = Vec::new();
    for mut stream in open {
        if timeout(Duration::from_millis(1), stream.read(&mut [0])).await.is_err() {
            left.push(stream);
        }
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_of_one_address_leave_connections_to_others() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_MAX_CONNECTIONS", "64");
    let server = site.listen("serve").await;
    let open = attack("127.0.0.1", 200, &server).await;
    assert!((16..=32).contains(&open.len()), "{}", open.len());
    assert!(!is_answered("127.0.0.1", &server).await);
    assert!(is_answered("127.0.0.2", &server).await);
    assert!(server.program.err().matches("refusing connections").count() == 1, "{}", server.program.err());
    // Several addresses together leave some as well.
    let mut others = Vec::new();
    for host in 3..10 {
        others.push(attack(&format!("127.0.0.{host}"), 20, &server).await);
    }
    assert!(is_answered("127.0.0.2", &server).await);
    drop((open, others));
    sleep(Duration::from_millis(200)).await;
    assert!(is_answered("127.0.0.1", &server).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trusted_proxy_has_no_limit() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_MAX_CONNECTIONS", "64");
    let site = site.with("HOMEROOM_TRUSTED_PROXIES", "127.0.0.1");
    let server = site.listen("serve").await;
    assert_eq!(attack("127.0.0.1", 63, &server).await.len(), 63);
    assert!(is_answered("127.0.0.1", &server).await);
}
