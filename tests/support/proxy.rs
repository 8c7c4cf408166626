//! A door in front of a server: it notes how each connection begins, can open late, and can answer as a server does
//! that is still starting.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Proxy {
    pub port: u16,
    first: Arc<Mutex<Vec<Vec<u8>>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

/// "The database system is starting up", as the server says it. (PostgreSQL: Message Formats, ErrorResponse.)
const STARTING: &[u8] = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";

impl Proxy {
    /// To the server at that port of 127.0.0.1.
    pub fn to(server: u16) -> Proxy {
        Proxy::behind(TcpListener::bind("127.0.0.1:0").expect("a port"), server, 0)
    }

    /// Behind `listener`; the first `starting` connections are told that the server is starting.
    pub fn behind(listener: TcpListener, server: u16, starting: usize) -> Proxy {
        let port = listener.local_addr().expect("an address").port();
        let first = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (notes, sockets) = (Arc::clone(&first), Arc::clone(&open));
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let (Ok(client), notes) = (client, Arc::clone(&notes)) else { return };
                sockets.lock().expect("no panic").push(client.try_clone().expect("a socket"));
                if number < starting {
                    is_starting(client);
                } else {
                    thread::spawn(move || serve(client, server, &notes));
                }
            }
        });
        Proxy { port, first, open }
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for client in self.open.lock().expect("no panic").drain(..) {
            // one that is closed already needs no cut
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// The first bytes of every connection.
    pub fn first_bytes(&self) -> Vec<Vec<u8>> {
        self.first.lock().expect("no panic").clone()
    }
}

fn is_starting(mut client: TcpStream) {
    let mut startup = [0; 1024];
    if client.read(&mut startup).expect("a message") == 8 {
        // SSLRequest: no TLS here, go on
        client.write_all(b"N").expect("the answer");
        assert!(client.read(&mut startup).expect("a startup message") > 8);
    }
    let length = u32::try_from(STARTING.len() + 4).expect("short").to_be_bytes();
    client.write_all(&[b"E", &length[..], STARTING].concat()).expect("the answer");
}

fn serve(mut client: TcpStream, server: u16, notes: &Mutex<Vec<Vec<u8>>>) {
    let mut server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
    let number = {
        let mut notes = notes.lock().expect("no panic");
        notes.push(Vec::new());
        notes.len() - 1
    };
    let (mut answers, mut back) =
        (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 8192];
    // either side may be gone at any time
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        if let Some(first) = notes.lock().expect("no panic").get_mut(number).filter(|first| first.len() < 16)
        {
            first.extend_from_slice(&bytes[..length]);
        }
        if server.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}
