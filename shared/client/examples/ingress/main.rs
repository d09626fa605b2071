//! An HTTP ingress, both issuers and a guarded service in one process, without a broker: see the README, "For callers".
#![expect(clippy::print_stdout, reason = "the example tells what to type")]

mod app;
mod issuers;

use microbus_bus::Connection;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::AnyError> {
    let connection = Connection::in_process();
    let _issuers = issuers::start(&connection).await?;
    let _hello = app::start_hello(&connection).await?;
    let ingress = app::ingress(&connection, app::AT_HOME).await?;

    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let at = listener.local_addr()?;
    println!("In another terminal:");
    println!(r#"  TOKEN=$(curl -s http://{at}/login -d '{{"sub":"harry","roles":["reader"]}}')"#);
    println!(
        r#"  curl -H "Authorization: Bearer $TOKEN" http://{at}/hello.example/me     # the actor's claims"#
    );
    println!(
        r#"  curl -H "Authorization: Bearer $TOKEN" http://{at}/hello.example/admin  # 403: the role is missing"#
    );
    println!(
        r#"  curl http://{at}/hello.example/me                                      # 401: no actor"#
    );
    axum::serve(listener, ingress).await?;
    Ok(())
}
