//! Writing an archive from streams whose lengths are known only at their ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::{Member, PIECE, hex, padding, tail};

/// An archive that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    position: u64,
    members: Vec<Member>,
}

impl Writer {
    /// Begins in an empty file that can also be read.
    pub fn new(file: File) -> Self {
        Self { file, position: 0, members: Vec::new() }
    }

    /// What has been written so far.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Adds all that `content` has to give, straight from there to the disk.
    ///
    /// # Errors
    /// Of either side; the file is of no use then.
    pub fn append(&mut self, name: &str, mut content: impl Read) -> io::Result<&Member> {
        self.long_name(name)?;
        // The header needs the length: its place is kept, and it is written last.
        let header_at = self.position;
        self.write(super::header(0).as_bytes())?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut size = 0;
        loop {
            let length = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = piece.get(..length).unwrap_or_default();
            hash.update(bytes);
            self.write(bytes)?;
            size += length as u64;
        }
        let filler = padding(size);
        self.write(&vec![0; usize::try_from(filler).unwrap_or_default()])?;
        let mut header = super::header(size);
        if header.set_path(name).is_err() {
            header.set_path("long-name")?;
        }
        header.set_cksum();
        self.file.seek(SeekFrom::Start(header_at))?;
        self.file.write_all(header.as_bytes())?;
        self.file.seek(SeekFrom::Start(self.position))?;
        self.members.push(Member { name: name.to_owned(), size, sha256: hex(&hash.finalize()) });
        self.members.last().ok_or_else(|| io::Error::other("nothing was written"))
    }

    /// Reads everything back, seals it, and sees it onto the disk. Returns the length of the file in bytes.
    ///
    /// # Errors
    /// When the file cannot be read back or written.
    pub fn seal(mut self) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut left = self.position;
        while left > 0 {
            let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact(bytes)?;
            hash.update(bytes);
            left -= wanted as u64;
        }
        let tail = tail(hash);
        self.write(&tail)?;
        self.file.sync_all()?;
        Ok(self.position)
    }

    /// A name that no header can hold goes before it, as GNU tar does it.
    fn long_name(&mut self, name: &str) -> io::Result<()> {
        if super::header(0).set_path(name).is_ok() {
            return Ok(());
        }
        let size = name.len() as u64 + 1;
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink")?;
        header.set_entry_type(EntryType::GNULongName);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(name.as_bytes());
        bytes.resize(bytes.len() + 1 + usize::try_from(padding(size)).unwrap_or_default(), 0);
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
