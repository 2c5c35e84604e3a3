//! Refusals that do not wait for the rest of a request.
//!
//! actix-http reads a chunked body that its handler let go of to the end, however long that takes (3.20,
//! `should_close_for_unread_payload`), and gives only the first request of a connection a time for its head. So
//! whoever is refused is not kept: the connection is closed with the answer, and the unread body is held until
//! that is written.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::ConnectionType;
use actix_web::{HttpResponse, web};
use bytes::Bytes;

/// The text of an answer, and the request's body that nobody will read.
struct Held {
    text: BoxBody,
    _unread: web::Payload,
}

pub(crate) fn and_close(mut answer: HttpResponse, unread: web::Payload) -> HttpResponse {
    answer.head_mut().set_connection_type(ConnectionType::Close);
    answer
        .map_body(|_, text| Held {
            text,
            _unread: unread,
        })
        .map_into_boxed_body()
}

impl MessageBody for Held {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.text.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.get_mut().text.as_pin_mut().poll_next(cx)
    }
}
