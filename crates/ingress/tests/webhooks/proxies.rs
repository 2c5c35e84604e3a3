//! Real proxies in front of ingress, which keep connections to it open. Each test needs the proxy's
//! program, and says so where it is missing.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::net::SocketAddr;
use std::path::Path;

use risiti_testkit::{Process, Program, eventually, free_port};
use tokio::net::TcpStream;

use crate::fixture::{DEADLINE, Fixture, Ingress, receipts, stk_success};
use crate::framing_cases::FramingCases;
use crate::raw_http::{assert_unharmed, exchange, take_queued};

fn nginx(folder: &Path, listen: SocketAddr, ingress: SocketAddr) -> Option<Program> {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .collect();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{\naccess_log off;\n{temporary}\
         upstream ingress {{ server {ingress}; keepalive 8; }}\n\
         server {{ listen {listen}; location / {{\n\
         proxy_pass http://ingress;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n}} }} }}\n"
    );
    let program = program("nginx", "/usr/sbin/nginx")?;
    let path = format!("{folder}/nginx.conf");
    std::fs::write(&path, config).unwrap();
    Some(program.args(["-c", &path, "-p", &folder.to_string()]))
}

fn haproxy(folder: &Path, listen: SocketAddr, ingress: SocketAddr) -> Option<Program> {
    let config = format!(
        "defaults\nmode http\ntimeout connect 5s\ntimeout client 10s\ntimeout server 10s\n\
         http-reuse always\n\
         frontend public\nbind {listen}\noption forwardfor\ndefault_backend ingress\n\
         backend ingress\nserver ingress {ingress}\n"
    );
    let program = program("haproxy", "/usr/sbin/haproxy")?;
    let path = folder.join("haproxy.cfg").display().to_string();
    std::fs::write(&path, config).unwrap();
    Some(program.args(["-db", "-f", &path]))
}

/// The program, or `None` with a line that says that it is missing.
fn program(name: &str, path: &str) -> Option<Program> {
    let is_there = Path::new(path).is_file();
    if !is_there {
        println!("skipped: {path} does not exist; the distribution's package {name} has it");
    }
    is_there.then(|| Program::at(Path::new(path)))
}

type Proxy = fn(&Path, SocketAddr, SocketAddr) -> Option<Program>;

/// Sends all framing cases through the proxy, and plain webhooks between them. Nothing is queued
/// that is not the body of a request, and no plain webhook gets another one's answer.
async fn check(proxy: Proxy) {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .env("RISITI_TRUSTED_PROXIES", "127.0.0.0/8")
        .ready()
        .await;
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let Some(program) = proxy(folder.path(), listen, ingress.address) else {
        return;
    };
    let _proxy: Process = program.start();
    eventually("the proxy listens", DEADLINE, async || {
        TcpStream::connect(listen).await.ok()
    })
    .await;

    let mut receipts = receipts("UIS9", 1_000).into_iter();
    for case in FramingCases::new(fixture.stk_path()).all {
        let answers = exchange(listen, &[&case.bytes]).await;
        let queued = take_queued(&fixture).await;
        let readable = queued.iter().filter(|(_, readable)| *readable);
        let mut count = 0;
        for (body, _) in readable {
            let body = String::from_utf8_lossy(body);
            assert!(
                case.bodies.iter().any(|sent| *sent == body),
                "{}",
                case.name
            );
            count += 1;
        }
        assert!(answers.accepted() <= count, "{}: {answers:?}", case.name);
        assert!(count <= case.bodies.len(), "{}", case.name);
        assert_served(&fixture, &ingress, listen, &receipts.next().unwrap()).await;
    }
    assert_unharmed(&fixture, &ingress).await;
}

/// A plain webhook through the proxy, which takes a connection that earlier cases used.
async fn assert_served(fixture: &Fixture, ingress: &Ingress, proxy: SocketAddr, receipt: &str) {
    let body = stk_success(receipt);
    let request = crate::attacks::post(&fixture.stk_path(), "connection: close\r\n", &body);
    let answers = exchange(proxy, &[request.as_bytes()]).await;
    assert_eq!(
        answers.accepted(),
        1,
        "{receipt}: {answers:?} {}",
        ingress.process.log()
    );
    assert_eq!(take_queued(fixture).await, [(body.into_bytes(), true)]);
}

#[tokio::test]
async fn nothing_is_smuggled_through_nginx() {
    check(nginx).await;
}

#[tokio::test]
async fn nothing_is_smuggled_through_haproxy() {
    check(haproxy).await;
}
