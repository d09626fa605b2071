//! Further connections of one process: more of its cores at work.
//!
//! Each has a thread, a connection and an instance ID of its own, and serves only what one replica answers for all: tokens
//! and JWK Sets. Never an endpoint that every instance hears: two answers of one process would count as two replicas'
//! (design: keys, "Several connections per process"). One thread per connection, because a work-stealing runtime was
//! measured to cost twice the CPU.

use microbus_bus::{Connection, Connector, NatsSettings, OpenError, Route, SubscribeError};
use std::future::Future;
use std::sync::Arc;
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A running one. Its thread ends when this is dropped.
pub(crate) struct Further {
    connector: Arc<Connector>,
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

/// Why one could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FurtherError {
    /// The broker did not take another connection.
    #[error("a further connection: {0}")]
    Connect(#[from] microbus_bus::ConnectError),
    /// The connection cannot be used.
    #[error("a further connection: {0}")]
    Open(#[from] OpenError),
    /// The endpoints could not be subscribed.
    #[error("a further connection: {0}")]
    Subscribe(#[from] SubscribeError),
    /// The operating system has no thread for it, or its thread ended.
    #[error("a further connection has no thread")]
    Thread,
}

impl Further {
    /// Connects, and opens an instance beside `first` on a thread of its own.
    pub(crate) async fn open(
        settings: NatsSettings,
        first: &Arc<Connector>,
    ) -> Result<Self, FurtherError> {
        let (opened, opening) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let first = Arc::clone(first);
        let work = move || {
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let connector = async {
                    let connection = Connection::to_broker(&settings).await?;
                    Ok(first.open_beside(connection).await?)
                };
                let connector: Result<_, FurtherError> = connector.await;
                let works = connector.is_ok();
                let told = opened.send(connector.map(|connector| (connector, Handle::current())));
                if works && told.is_ok() {
                    // Either way of ending is the same: nobody needs this thread any more.
                    drop(ended.await);
                }
            });
        };
        thread::Builder::new()
            .name("connection".to_owned())
            .spawn(work)
            .map_err(|_| FurtherError::Thread)?;
        let (connector, runtime) = opening.await.map_err(|_| FurtherError::Thread)??;
        Ok(Self {
            connector,
            runtime,
            _end: end,
        })
    }

    /// Returns the instance.
    pub(crate) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Subscribes endpoints; returns when the broker has taken them.
    pub(crate) async fn subscribe(&self, routes: Vec<Route>) -> Result<(), FurtherError> {
        let connector = Arc::clone(&self.connector);
        self.run(async move {
            for route in routes {
                connector.subscribe(route).await?;
            }
            connector.settle().await;
            Ok(())
        })
        .await?
    }

    /// Leaves the endpoints that `which` chooses, and answers what was delivered.
    pub(crate) async fn leave(&self, which: impl Fn(&Route) -> bool + Send + Sync + 'static) {
        let connector = Arc::clone(&self.connector);
        let leaving = self.run(async move {
            connector.leave(which).await;
            connector.drained().await;
            Ok(())
        });
        if let Err(error) = leaving.await.flatten() {
            tracing::error!(error = %error, "Leaving the bus");
        }
    }

    /// Closes the connection after writing what is left.
    pub(crate) async fn close(&self) {
        self.connector.connection().close().await;
    }

    /// Runs something on the thread of the connection, where its tasks belong.
    async fn run(
        &self,
        work: impl Future<Output = Result<(), FurtherError>> + Send + 'static,
    ) -> Result<Result<(), FurtherError>, FurtherError> {
        self.runtime
            .spawn(work)
            .await
            .map_err(|_| FurtherError::Thread)
    }
}
