//! Refusals that close the connection without waiting for the rest of the request.
//!
//! actix-http reads a chunked body that its handler dropped to the end, however long that takes
//! (3.20, `should_close_for_unread_payload`). A refusal therefore closes the connection, and the unread body is held
//! until the answer is written.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::ConnectionType;
use actix_web::{HttpResponse, web};
use bytes::Bytes;

/// The body of a refusal, together with the request body that nobody will read.
struct RefusalBody {
    text: BoxBody,
    _unread: web::Payload,
}

/// Makes this answer close the connection once it is written.
pub(crate) fn close_after(mut answer: HttpResponse, unread: web::Payload) -> HttpResponse {
    answer.head_mut().set_connection_type(ConnectionType::Close);

    answer
        .map_body(|_, text| RefusalBody {
            text,
            _unread: unread,
        })
        .map_into_boxed_body()
}

impl MessageBody for RefusalBody {
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
