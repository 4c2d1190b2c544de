//! Streams of events.

use ethogram_engine::EventFilter as Filter;
use tokio_stream::StreamExt;

use crate::{
    api::{Answer, EventFilter, Events, Lines},
    refusal::Refusal,
    server::{backend::Server, streams},
};

impl Events for Server {
    async fn subscribe_events(&self, filter: EventFilter) -> Answer<Lines> {
        let tracker = filter.tracker.clone();
        // Programs are attached before the first event is promised.
        let following = self.blocking(move |server| {
            if let Some(name) = tracker.as_deref().filter(|name| server.schema(name).is_none()) {
                let known = server.collector.status();
                return Err(Refusal::unknown("tracker", name, known.iter().map(|t| &t.schema.name)));
            }
            Ok(server.subscriptions.follow(tracker))
        });
        let following = following.await?;
        let filter = Filter { trackers: Vec::from_iter(filter.tracker), containers: Vec::from_iter(filter.container) };
        // The engine sends on what is followed, and the outlet each follower what is theirs.
        let engine_filter = filter.clone();
        let followed = self.ask(move |judged| judged.follow(engine_filter)).await?;
        let lines = self.ask_outlet(move |outlet| outlet.streams.follow_events(filter, followed)).await?;
        let lines = lines.ok_or_else(streams::too_many)?.map(move |line| {
            let _subscribed_until_the_stream_ends = &following;
            line.to_string()
        });
        Ok(Box::pin(lines))
    }
}
