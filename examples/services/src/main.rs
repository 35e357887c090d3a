//! `demo-services`: one of the demo's microservices as a process.

use std::fmt::Display;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use demo_services::{Control, Data, DataError, RegisterError, Registration, ServeError, Service, Sizes, Spans, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const EXAMPLES: &str = "\
Examples:
  demo-services catalog                                 the demo's films on 127.0.0.1:50051
  demo-services people --listen 127.0.0.1:0             on any free port; the port is printed
  demo-services reviews --generate films=1000,people=500,reviews=10000 --seed 1
                                                        made-up data; give all services the same sizes and seed
  grpcurl -plaintext 127.0.0.1:50051 list               what it serves: every service has reflection and health
  grpcurl -plaintext -d '{\"id\": 1}' 127.0.0.1:50051 catalog.v1.Films/GetFilm
  grpcurl -plaintext -d '{\"behaviour\": {\"delay_ms\": 200, \"fail_percent\": 10}}' 127.0.0.1:50051 demo.v1.Control/SetBehaviour
                                                        slow and failing, until the behaviour is set again

Exit codes: 0 stopped by SIGTERM or Ctrl-C, 1 failed, 2 wrong usage.";

/// Who has found a service in a registry gets so long to hear that it leaves.
const LEAVING: Duration = Duration::from_secs(1);

/// One of the four gRPC microservices of the Weft demo, on a port of its own.
///
/// It prints one line when it is ready. On SIGTERM or Ctrl-C it leaves the registry, stops accepting, finishes the calls under way, says how
/// many it has had, and exits.
#[derive(Debug, clap::Parser)]
#[command(name = "demo-services", version, after_help = EXAMPLES)]
struct Arguments {
    /// Which service this process is
    #[arg(value_parser = PossibleValuesParser::new(Service::ALL.map(Service::name)).try_map(|name| name.parse::<Service>()))]
    service: Service,

    /// Where to listen; port 0 takes any free one [default: 127.0.0.1, port 50051 catalog, 50052 people, 50053 reviews, 50054 recommend]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Serve this file, in the form of examples/services/data/films.json, instead of the demo's films
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    data: Option<PathBuf>,

    /// Serve made-up data of this size, as films=1000,people=500,reviews=10000
    #[arg(long, value_name = "SIZES")]
    generate: Option<Sizes>,

    /// The same seed makes the same data
    #[arg(long, requires = "generate", default_value_t = 1)]
    seed: u64,

    /// Register in this etcd, in kratos' layout, as http://127.0.0.1:2379
    #[arg(long, value_name = "URL")]
    register: Option<String>,

    /// Send spans of recorded traces to this receiver, by OTLP over gRPC, as http://127.0.0.1:4317
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
}

/// Why the process ends with 1.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot listen on {address}: {source}\nchoose another address with --listen; port 0 takes any free port")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    #[error("{url} is no address of a receiver of traces, such as http://127.0.0.1:4317: {source}")]
    Traces { url: String, source: tonic::transport::Error },
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = <Arguments as clap::Parser>::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&mut std::io::stderr(), format_args!("demo-services: {failure}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let service = arguments.service;
    let home = SocketAddr::from((Ipv4Addr::LOCALHOST, service.default_port()));
    let address = arguments.listen.unwrap_or(home);
    let failed = |source| Failure::Listen { address, source };
    // The port comes first: that it is taken should not be found out after the data was made.
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let data = Arc::new(load(&arguments)?);
    let (spans, sending) = match arguments.traces {
        Some(url) => {
            let failed = |source| Failure::Traces { url: url.clone(), source };
            Spans::to(url.clone(), service, bound)
                .map(|(spans, sending)| (Some(spans), Some(sending)))
                .map_err(failed)?
        }
        None => (None, None),
    };
    let registration = match &arguments.register {
        Some(etcd) => Some(Registration::begin(etcd, service, bound).await?),
        None => None,
    };

    say(&mut std::io::stdout(), format_args!("{service} listening on {bound}"));
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if let Some(registration) = registration {
            registration.end().await;
            tokio::time::sleep(LEAVING).await;
        }
    };
    let control = Control::new(service);
    serve(control.clone(), listener, data, spans, shutdown).await?;
    if let Some(sending) = sending {
        sending.end().await;
    }
    let counts: Vec<String> = control.counts().iter().map(|(method, count)| format!("{method} {count}")).collect();
    say(&mut std::io::stdout(), format_args!("{service} was called: {}", counts.join(", ")));
    Ok(())
}

fn load(arguments: &Arguments) -> Result<Data, DataError> {
    match (&arguments.data, arguments.generate) {
        (Some(path), _) => Data::read(path),
        (None, Some(sizes)) => Data::generate(sizes, arguments.seed),
        (None, None) => Data::demo(),
    }
}

/// The only place that prints. Nobody may be reading any more; that is no reason to stop.
fn say(to: &mut dyn Write, line: impl Display) {
    let _ = writeln!(to, "{line}");
    let _ = to.flush();
}
