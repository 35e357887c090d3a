//! A machine on which nothing can be kept: in a container whose home is read-only, or is none.

use super::assert_says;
use crate::support::weft;
use weft_tests::{author::Author, process::ended};

#[tokio::test]
async fn a_cache_that_can_not_be_written_is_named_and_nothing_is_half_made() {
    let author = Author::new(weft());
    author.begin("greeter", &["--client", "web"]).await;
    // Also for root, who may write everywhere, nothing can be made below a file.
    author.write("taken", "");
    let taken = author.folder.join("taken");
    let run = async |folder: &str, arguments: &[&str]| {
        ended(author.command(weft(), folder).env("XDG_CACHE_HOME", &taken).args(arguments)).await
    };
    let told = format!(
        "{}/weft/sdk can't be written, where the SDK is to be unpacked: make it writable, or set XDG_CACHE_HOME",
        taken.display()
    );
    for lang in ["rust", "js"] {
        assert_says(
            &run("", &["new", "other", "--client", "web", "--lang", lang, "--ci", "github"]).await,
            1,
            &[&told],
        );
        assert!(!author.folder.join("other").exists(), "{lang}");
    }
    for command in ["build", "test", "sdk"] {
        assert_says(&run("greeter", &[command]).await, 1, &[&told]);
    }
    assert!(!author.folder.join("greeter/target").exists());
    let nowhere = ended(
        author
            .command(weft(), "")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("HOME")
            .args(["new", "other", "--client", "web"]),
    )
    .await;
    assert_says(&nowhere, 1, &["neither XDG_CACHE_HOME nor HOME names a folder; set XDG_CACHE_HOME to one"]);
    assert!(!author.folder.join("other").exists());
}
