//! What an action has put somewhere, where the target itself cannot say: a file, whole or not there.

use super::{ActionError, failed};
use event::Timestamp;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

pub struct Memory {
    path: PathBuf,
    /// With the end, none for good.
    pub nets: BTreeMap<IpNet, Option<Timestamp>>,
}

impl Memory {
    pub fn open(path: PathBuf) -> Result<Self, ActionError> {
        let nets = match std::fs::read(&path) {
            Ok(bytes) => {
                let bad = |error: String| failed(format!("{}: {error}", path.display()));
                let read: BTreeMap<String, Option<Timestamp>> = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
                let parse = |(net, until): (String, _)| net.parse::<IpNet>().map(|net| (net, until)).map_err(|error| bad(format!("{net}: {error}")));
                read.into_iter().map(parse).collect::<Result<_, _>>()?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(format!("{}: {error}", path.display()))),
        };
        Ok(Self { path, nets })
    }

    pub fn save(&self) -> Result<(), ActionError> {
        let say = |error: std::io::Error| failed(format!("{}: {error}", self.path.display()));
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(say)?;
        }
        let new = self.path.with_extension("new");
        let mut file = std::fs::File::create(&new).map_err(say)?;
        let nets: BTreeMap<String, Option<Timestamp>> = self.nets.iter().map(|(net, until)| (net.to_string(), *until)).collect();
        file.write_all(&serde_json::to_vec(&nets).map_err(failed)?).map_err(say)?;
        file.sync_all().map_err(say)?;
        std::fs::rename(&new, &self.path).map_err(say)
    }
}
