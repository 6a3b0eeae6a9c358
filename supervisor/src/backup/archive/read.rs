//! Reading an archive: first whether it is whole, then what is in it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::super::manifest::Manifest;
use super::{BLOCK, MANIFEST, Member, PIECE, SEAL, TAIL, hex, tail};

/// Longest manifest that is read, in bytes: a day's partition takes about forty.
const LONGEST_MANIFEST: u64 = 64 << 20;

/// A backup that is there.
#[derive(Debug)]
pub struct Archive {
    file: File,
    length: u64,
    entries: Vec<Entry>,
    /// Where in `entries` a name is; there may be very many uploads.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    at: u64,
    size: u64,
}

impl Archive {
    /// Opens a backup and finds what is in it, without looking at the content.
    ///
    /// # Errors
    /// A few words: it cannot be read, or is no archive.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is not a file".to_owned());
        }
        let length = metadata.len();
        let entries = index(&file).map_err(|error| format!("it is damaged or not a backup: {error}"))?;
        let mut places = HashMap::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            places.entry(entry.name.clone()).or_insert(place);
        }
        Ok(Self { file, length, entries, places })
    }

    /// Opens a backup and reads every byte of it against its checksum.
    ///
    /// # Errors
    /// A few words: it cannot be read, or is damaged.
    pub fn open_whole(path: &Path) -> Result<Self, String> {
        // In this order: the index of a damaged file may lead anywhere.
        let file = File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
        check_seal(&file)?;
        Self::open(path)
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// A few words.
    pub fn manifest(&self) -> Result<Manifest, String> {
        let entry = self.entry(MANIFEST).ok_or("it has no manifest.json")?;
        if entry.size > LONGEST_MANIFEST {
            return Err("its manifest.json is too long".to_owned());
        }
        let mut text = Vec::new();
        self.reader(entry).read_to_end(&mut text).map_err(|error| format!("it cannot be read: {error}"))?;
        Manifest::read(&text)
    }

    /// Every member listed in the manifest is here with that length and content, and nothing else is.
    ///
    /// # Errors
    /// A few words naming the member.
    pub fn check_members(&self, members: &[Member]) -> Result<(), String> {
        for member in members {
            let entry = self.entry(&member.name).ok_or_else(|| format!("{} is missing from it", member.name))?;
            let hash = self.hash(entry).map_err(|error| format!("it cannot be read: {error}"))?;
            if entry.size != member.size || hash != member.sha256 {
                return Err(format!("{} in it is damaged", member.name));
            }
        }
        let mut known: HashSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
        known.extend([MANIFEST, SEAL]);
        match self.entries.iter().find(|entry| !known.contains(entry.name.as_str())) {
            Some(entry) => Err(format!("{} in it is not in its manifest", entry.name)),
            None => Ok(()),
        }
    }

    /// The content of a member.
    pub fn member(&self, name: &str) -> Option<impl Read + '_> {
        self.entry(name).map(|entry| self.reader(entry))
    }

    /// Names of the members below a folder, without the folder's own, and their sizes in bytes.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        self.entries
            .iter()
            .filter_map(move |entry| Some((entry.name.strip_prefix(folder)?.strip_prefix('/')?, entry.size)))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.places.get(name)?)
    }

    fn reader(&self, entry: &Entry) -> Section<'_> {
        Section { file: &self.file, at: entry.at, left: entry.size }
    }

    fn hash(&self, entry: &Entry) -> io::Result<String> {
        let mut hash = Sha256::new();
        read_all(self.reader(entry), |piece| hash.update(piece))?;
        Ok(hex(&hash.finalize()))
    }
}

/// Whether the end is the one that belongs to all that comes before it.
fn check_seal(file: &File) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let length = metadata.len();
    let Some(body) = length.checked_sub(TAIL).filter(|body| *body > 0 && body.is_multiple_of(BLOCK)) else {
        return Err(format!("it is damaged: {length} bytes are not the length of a backup; it may be incomplete"));
    };
    let mut hash = Sha256::new();
    read_all(Section { file, at: 0, left: body }, |piece| hash.update(piece)).map_err(unreadable)?;
    let mut end = Vec::new();
    Section { file, at: body, left: TAIL }.read_to_end(&mut end).map_err(unreadable)?;
    if end == tail(hash) {
        Ok(())
    } else {
        Err("it is damaged: its checksum does not fit its content; it may be incomplete".to_owned())
    }
}

fn index(file: &File) -> io::Result<Vec<Entry>> {
    let mut archive = tar::Archive::new(file);
    let mut entries = Vec::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path()?;
        let is_plain = path.components().all(|component| matches!(component, Component::Normal(_)));
        let name = path.to_str().filter(|_| is_plain && entry.header().entry_type().is_file());
        let name = name.ok_or_else(|| io::Error::other(format!("{} has no place in one", path.display())))?;
        entries.push(Entry { name: name.to_owned(), at: entry.raw_file_position(), size: entry.size() });
    }
    Ok(entries)
}

fn read_all(mut source: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => take(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A part of a file. Ending early is an error.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let length = self.file.read_at(buffer, self.at)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::super::Writer;
    use super::*;

    /// A backup of a few members, one of an awkward name, and its members.
    fn sample(path: &Path) -> Vec<Member> {
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        let mut writer = Writer::new(file);
        let long = format!("uploads/{}/{}", "d".repeat(200), "f".repeat(200));
        for (name, length) in [("database.dump", 70_000), ("uploads/a", 0), (&long, 512), ("secrets/k", 13)] {
            let bytes: Vec<u8> = (0..length).map(|number: u32| number.to_le_bytes()[0].wrapping_mul(31)).collect();
            writer.append(name, bytes.as_slice()).unwrap();
        }
        let members = writer.members().to_vec();
        let length = writer.seal().unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().len(), length);
        members
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let members = sample(&path);
        let archive = Archive::open_whole(&path).unwrap();
        archive.check_members(&members).unwrap();
        let uploads: Vec<_> = archive.below("uploads").map(|(name, size)| (name.len(), size)).collect();
        assert_eq!(uploads, [(1, 0), (401, 512)]);
        assert!(archive.check_members(&members[1..]).unwrap_err().contains("not in its manifest"));
        let listing = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();
        assert!(listing.status.success());
        assert_eq!(String::from_utf8(listing.stdout).unwrap().lines().count(), 5);
    }

    #[test]
    fn any_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        sample(&path);
        let length = std::fs::metadata(&path).unwrap().len();
        let everywhere = (0..length).step_by(611);
        let the_end = length - TAIL - 4..length;
        for offset in everywhere.chain(the_end) {
            let mut file = File::options().read(true).write(true).open(&path).unwrap();
            let flip = |file: &mut File| {
                let mut byte = [0];
                file.read_exact_at(&mut byte, offset).unwrap();
                file.seek(SeekFrom::Start(offset)).unwrap();
                file.write_all(&[byte[0] ^ 0x10]).unwrap();
            };
            flip(&mut file);
            assert!(Archive::open_whole(&path).unwrap_err().contains("damaged"), "byte {offset} of {length}");
            flip(&mut file);
        }
        Archive::open_whole(&path).unwrap();
    }

    #[test]
    fn any_missing_or_added_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        sample(&path);
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 1, 512, 2048, whole.len() / 2, whole.len() - 2048, whole.len() - 512, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Archive::open_whole(&path).unwrap_err().contains("damaged"), "{length} bytes");
        }
        std::fs::write(&path, [whole.as_slice(), &[0; 512]].concat()).unwrap();
        assert!(Archive::open_whole(&path).unwrap_err().contains("damaged"));
        std::fs::write(&path, [&whole[..600], &whole[601..]].concat()).unwrap();
        assert!(Archive::open_whole(&path).unwrap_err().contains("damaged"));
    }

    #[test]
    fn names_that_lead_outside_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let mut header = super::super::header(0);
        header.as_mut_bytes()[..11].copy_from_slice(b"uploads/../");
        header.set_cksum();
        std::fs::write(&path, [header.as_bytes().as_slice(), &[0; 1024]].concat()).unwrap();
        assert!(Archive::open(&path).unwrap_err().contains("no place"));
    }
}
