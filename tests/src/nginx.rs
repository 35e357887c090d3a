//! A real nginx in a process of its own.

use crate::program::{self, Program};
use tokio::process::Command;

/// What nginx keeps on disk, which else lies where only root may write.
const TEMPORARY: &str = "http {\n    client_body_temp_path body;\n    proxy_temp_path proxy;\n    fastcgi_temp_path fastcgi;\n    \
                         uwsgi_temp_path uwsgi;\n    scgi_temp_path scgi;\n";

/// With this configuration, once it listens at `port`; killed when dropped. Relative paths lie in its own folder. `None`, loudly, where
/// there is no `nginx`.
///
/// # Panics
/// If it does not start.
pub async fn start(config: &str, port: u16) -> Option<Program> {
    let nginx = program::find("nginx")?;
    let folder = program::folder();
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, program::replaced(config, &[("http {\n", TEMPORARY)])).unwrap();
    let mut command = Command::new(nginx);
    // One process: workers would outlive a master that is killed.
    command.arg("-p").arg(folder.path()).arg("-c").arg(file).args(["-e", "stderr"]);
    command.args(["-g", "daemon off; master_process off; pid nginx.pid; error_log stderr notice;"]);
    Some(Program::start(&mut command, folder).until_listening(port).await)
}
