//! What the server tells of a key's record: short ones at once, long ones one at a time. And a look at a record that claims nothing.

use super::{
    super::super::record::{MOST, Record},
    LONG, Shared, Told, Unsaid, known,
    scripts::LOOK,
};
use crate::store::Known;
use bytes::Bytes;
use redis::Cmd;
use tokio::time::timeout;

impl Shared {
    /// What a script tells that is given how many bytes of a record it may tell at most.
    pub(super) async fn told(&self, script: impl Fn(usize) -> Cmd) -> Result<Told, Unsaid> {
        let told = self.ask::<Told>(&script(LONG)).await?;
        if told.0 != 3 {
            return Ok(told);
        }
        let alone = timeout(self.patience(), self.claims.long.acquire()).await;
        let _alone = alone.map_err(|_| Unsaid::not_sent("it is too slow"))?;
        self.ask(&script(MOST)).await
    }

    /// What is there of a key, and stays as it is; `None`: nothing, or nobody can be asked now.
    pub async fn look_up(&self, key: &str) -> Option<Known> {
        let key = self.keyed(key);
        let script = |most: usize| {
            let mut command = redis::cmd("EVAL");
            command.arg(LOOK).arg(1).arg(&key).arg(most);
            command
        };
        match self.told(script).await.ok()? {
            (0, now, record) => Some(known(Record::read(&Bytes::from(record)), now)),
            (4, ..) => None,
            _ => Some(Known::Unreadable),
        }
    }
}
