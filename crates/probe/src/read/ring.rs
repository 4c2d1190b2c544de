//! The reader's side of one ring buffer of the kernel (BPF_MAP_TYPE_RINGBUF).
//!
//! libbpf maps a ring twice in a row, so that no record is split where the ring ends, and each of its pages then counts
//! twice as the process's memory. Here it is mapped once; the few records that are split are put together.

use std::{
    ffi::c_void,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{NonNull, null_mut, slice_from_raw_parts},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use libbpf_rs::{MapCore as _, MapHandle};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Of the length that begins a record: it is still written, or given up.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// Before each record: its length, and what the kernel needs.
const HEADER: usize = 8;

/// A ring that is read by this alone.
#[derive(Debug)]
pub(crate) struct Ring {
    fd: OwnedFd,
    /// A page with the position up to which was read.
    read: Mapping,
    /// A page with the position up to which was written, then the data.
    written: Mapping,
    /// Of the data, a power of two.
    size: usize,
    /// A record that was split.
    joined: Vec<u8>,
}

impl Ring {
    /// Maps a ring.
    ///
    /// # Errors
    /// Where the kernel refuses to map it.
    pub(crate) fn new(map: &MapHandle) -> io::Result<Self> {
        Self::of(map.as_fd().try_clone_to_owned()?, map.max_entries() as usize)
    }

    fn of(fd: OwnedFd, size: usize) -> io::Result<Self> {
        if !size.is_power_of_two() {
            return Err(io::Error::other(format!("{size} bytes are no size of a ring")));
        }
        let page = rustix::param::page_size();
        let read = Mapping::new(fd.as_fd(), ProtFlags::READ | ProtFlags::WRITE, 0, page)?;
        let written = Mapping::new(fd.as_fd(), ProtFlags::READ, page, page + size)?;
        Ok(Self { fd, read, written, size, joined: Vec::new() })
    }

    /// Hands out the records that wait, at most so many, in the order in which programs began them. It does not wait.
    /// Returns how many they were.
    pub(crate) fn read(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> usize {
        // SAFETY: each page begins with a position, aligned as the page is, that both sides access as a whole.
        let (read, written) = unsafe { (self.read.at(0).cast(), self.written.at(0).cast()) };
        // SAFETY: as above.
        let (read, written): (&AtomicU64, &AtomicU64) = unsafe { (read.as_ref(), written.as_ref()) };
        let data = self.written.length - self.size;
        let mut position = read.load(Ordering::Relaxed);
        let mut count = 0;
        while count < most && position < written.load(Ordering::Acquire) {
            let at = self.place(position);
            // SAFETY: a header begins where the record before it ended, a multiple of its size, so that it is never split.
            let header = unsafe { self.written.at(data + at).cast::<AtomicU32>().as_ref() }.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let length = (header & !DISCARDED) as usize;
            if header & DISCARDED == 0 {
                let begin = self.place(position + HEADER as u64);
                let first = length.min(self.size - begin);
                // SAFETY: both parts are within the data, and the kernel writes them again only when they were read.
                let (one, two) = unsafe {
                    let part = |at, length| &*slice_from_raw_parts(self.written.at(data + at).as_ptr(), length);
                    (part(begin, first), part(0, length - first))
                };
                if two.is_empty() {
                    take(one);
                } else {
                    self.joined.clear();
                    self.joined.extend_from_slice(one);
                    self.joined.extend_from_slice(two);
                    take(&self.joined);
                }
                count += 1;
            }
            position += (HEADER + length).next_multiple_of(HEADER) as u64;
            read.store(position, Ordering::Release);
        }
        count
    }

    /// Where in the data a position lies.
    fn place(&self, position: u64) -> usize {
        (position & (self.size as u64 - 1)) as usize
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[derive(Debug)]
struct Mapping {
    at: NonNull<u8>,
    length: usize,
}

// SAFETY: it is memory of the process, of no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, access: ProtFlags, offset: usize, length: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place, so that nothing else's is taken.
        let at: *mut c_void = unsafe { mmap(null_mut(), length, access, MapFlags::SHARED, fd, offset as u64) }?;
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("a ring was mapped to nowhere"))?;
        Ok(Self { at, length })
    }

    /// # Safety
    /// The offset is at most the length.
    unsafe fn at(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: as the caller says.
        unsafe { self.at.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what is given back is what was mapped, and all references to it have ended.
        _ = unsafe { munmap(self.at.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    /// What the kernel does at the other side.
    struct Writer {
        file: OwnedFd,
        written: u64,
    }

    impl Writer {
        const SIZE: usize = 4096;

        fn new() -> (Self, Ring) {
            let file = memfd_create("ring", MemfdFlags::CLOEXEC).unwrap();
            let pages = 2 * rustix::param::page_size() as u64;
            ftruncate(&file, pages + Self::SIZE as u64).unwrap();
            let ring = Ring::of(file.try_clone().unwrap(), Self::SIZE).unwrap();
            (Self { file, written: 0 }, ring)
        }

        fn put(&self, at: u64, bytes: &[u8]) {
            let data = 2 * rustix::param::page_size() as u64;
            for (at, byte) in (at..).zip(bytes) {
                rustix::io::pwrite(&self.file, &[*byte], data + at % Self::SIZE as u64).unwrap();
            }
        }

        /// Returns where the record begins.
        fn write(&mut self, record: &[u8], flags: u32) -> u64 {
            let at = self.written;
            self.put(at, &(record.len() as u32 | flags).to_ne_bytes());
            self.put(at + HEADER as u64, record);
            self.written += (HEADER + record.len()).next_multiple_of(HEADER) as u64;
            let page = rustix::param::page_size() as u64;
            rustix::io::pwrite(&self.file, &self.written.to_ne_bytes(), page).unwrap();
            at
        }
    }

    fn all(ring: &mut Ring, most: usize) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        let count = ring.read(most, |record| records.push(record.to_vec()));
        assert_eq!(count, records.len());
        records
    }

    #[test]
    fn records_come_whole_also_where_the_ring_ends() {
        let (mut writer, mut ring) = Writer::new();
        assert!(all(&mut ring, 9).is_empty());
        for round in 0..300_u32 {
            let length = 1 + (round as usize * 37) % 700;
            let record: Vec<u8> = (0..length).map(|at| (at as u32 ^ round) as u8).collect();
            writer.write(&record, 0);
            assert_eq!(all(&mut ring, 9), [record], "round {round}");
        }
        assert!(writer.written > 10 * Writer::SIZE as u64, "the ring ended several times");
    }

    #[test]
    fn what_is_still_written_holds_back_what_follows_and_what_was_given_up_does_not() {
        let (mut writer, mut ring) = Writer::new();
        writer.write(b"first", 0);
        writer.write(b"given up", DISCARDED);
        let busy = writer.write(b"slow", BUSY);
        writer.write(b"last", 0);
        assert_eq!(all(&mut ring, 9), [b"first"]);
        writer.put(busy, &4_u32.to_ne_bytes());
        assert_eq!(all(&mut ring, 1), [b"slow"]);
        assert_eq!(all(&mut ring, 9), [b"last"]);
    }

    #[test]
    fn a_size_that_no_ring_has_is_refused() {
        let file = memfd_create("ring", MemfdFlags::CLOEXEC).unwrap();
        assert!(Ring::of(file.try_clone().unwrap(), 0).is_err());
        assert!(Ring::of(file, 5000).is_err());
    }
}
