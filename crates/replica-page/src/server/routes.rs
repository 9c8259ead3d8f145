//! What a browser asks for.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::map_response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::assets::{ASSETS, Asset, VERSION};
use super::frames::Frame;
use super::headers::secured;
use super::hub::{Hub, Listener};
use super::source::Source;
use crate::render::{Reader, page};
use crate::text::Language;
use crate::view::plots::Range;

/// How often a reader hears that the connection stands, if nothing changes.
const ALIVE: Duration = Duration::from_secs(15);

/// The page, its files and its events, with what is served beside it: every answer is told to the browser as one of a page that
/// nobody may frame, and whose data is not kept.
pub fn routes(source: Source, beside: Router) -> Router {
    let hub = Hub::new(source);
    let assets = ASSETS.into_iter().fold(Router::new(), |router, asset| {
        router.route(&format!("/assets/{}", asset.name), get(async move || file(asset)))
    });
    let page = Router::new().route("/", get(whole)).route("/page/events", get(events)).with_state(hub);
    page.merge(assets).merge(beside).layer(map_response(secured))
}

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    lang: Option<String>,
    range: Option<String>,
}

impl Asked {
    fn reader(&self, headers: &HeaderMap) -> Reader {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Reader {
            language: Language::choose(self.lang.as_deref(), accepted),
            range: Range::of_tag(self.range.as_deref()),
        }
    }
}

fn file(asset: Asset) -> Response {
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "no-cache")];
    (headers, asset.text).into_response()
}

async fn whole(State(hub): State<Hub>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let seen = hub.look().await;
    let markup = page(&seen, asked.reader(&headers), VERSION);
    ([(header::VARY, "accept-language")], Html(markup.into_string())).into_response()
}

async fn events(State(hub): State<Hub>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let reader = asked.reader(&headers);
    match hub.listen(reader).await {
        Some((all, listener)) => {
            let stream = changes(hub, reader, all, listener);
            Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "too many readers\n").into_response(),
    }
}

/// A stream's state: what is to be sent first, and who listens.
struct Sending {
    hub: Hub,
    reader: Reader,
    first: Option<Frame>,
    listener: Listener,
}

fn changes(
    hub: Hub,
    reader: Reader,
    all: Frame,
    listener: Listener,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let sending = Sending { hub, reader, first: Some(all), listener };
    stream::unfold(sending, async |mut sending| {
        let frame = sending.next().await?;
        Some((Ok(Event::default().data(&*frame)), sending))
    })
}

impl Sending {
    async fn next(&mut self) -> Option<Frame> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        match self.listener.frames.recv().await {
            Ok(frame) => Some(frame),
            // It missed something.
            Err(RecvError::Lagged(_)) => self.hub.all(self.reader),
            Err(RecvError::Closed) => None,
        }
    }
}
