//! The one place that starts a program.
//!
//! Everything the child needs is prepared before `clone`; between `clone` and `exec` only system calls are made, so
//! that a lock held by another thread of the supervisor can never hang a child. Whatever goes wrong there comes back
//! through a pipe as an ordinary [`io::Error`] that names the step.
//!
//! Until `exec` the child uses our memory, on a stack of its own, while the thread that made it waits, as in the C
//! library's `posix_spawn`: copying the tables of our memory, and then each page that either side writes to, would be
//! half of what a start costs.

#![allow(unsafe_code, reason = "clone and exec cannot be had without; every block says why it is sound")]

mod spec;

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Pid, pipe2};

pub use spec::{Credentials, LaunchSpec, Program};

use crate::limits;

/// A running child: the leader of its own session and process group.
#[derive(Debug)]
pub struct Spawned {
    /// Its process id.
    pub pid: Pid,
    /// The reading end of its standard output.
    pub stdout: OwnedFd,
    /// The reading end of its standard error.
    pub stderr: OwnedFd,
}

/// Starts a program and returns once it has been executed.
///
/// # Errors
/// What the system said, prefixed with the step that failed ("exec: No such file or directory").
pub fn spawn(spec: &LaunchSpec) -> io::Result<Spawned> {
    let (stdin_read, stdin_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (stdout, stdout_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (stderr, stderr_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (report, report_write) = pipe2(OFlag::O_CLOEXEC)?;
    let null = std::fs::File::open("/dev/null")?;

    let strings = Strings::new(spec)?;
    let confinement = &spec.confinement;
    let mut limits = confinement.limits.settable();
    limits.extend(spec.tag.map(|tag| (Resource::RLIMIT_LOCKS, tag)));
    let oom_score_adjust = (limits::own_oom_score() + confinement.oom_score_adjust).clamp(-1000, 1000).to_string();
    let mut numbers = vec![
        (if spec.stdin.is_some() { stdin_read.as_raw_fd() } else { null.as_raw_fd() }, 0),
        (stdout_write.as_raw_fd(), 1),
        (stderr_write.as_raw_fd(), 2),
    ];
    numbers.extend(spec.inherit.iter().map(|(fd, number)| (fd.as_raw_fd(), *number)));
    let mut child = Child {
        program: match &spec.program {
            Program::Path(_) => None,
            Program::Fd(fd) => Some(fd.as_raw_fd()),
        },
        path: strings.path.as_ptr(),
        argv: strings.argv_pointers.as_ptr(),
        envp: strings.env_pointers.as_ptr(),
        cwd: spec.cwd.as_raw_fd(),
        report: report_write.as_raw_fd(),
        numbers,
        credentials: spec.credentials.clone(),
        umask: spec.umask,
        death_signal: spec.death_signal,
        parent: std::process::id(),
        limits: &limits,
        oom_score_adjust: &oom_score_adjust,
        no_new_privs: confinement.no_new_privs,
        capabilities: match &spec.credentials {
            Some(who) if who.uid != 0 => Some(0),
            _ => confinement.capabilities,
        },
        group: spec.group.as_ref().map(AsRawFd::as_raw_fd),
    };

    // No handler of ours may run in the child: it would write into our own signal pipe.
    let mut old = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut old))?;
    let born = child.begin();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&old), None)?;
    let pid = born?;
    drop((stdin_read, stdout_write, stderr_write, report_write));

    let mut said = Vec::new();
    std::fs::File::from(report).read_to_end(&mut said)?;
    if let Some(error) = read_report(&said) {
        return Err(error);
    }
    if let Some(bytes) = &spec.stdin {
        // The pipe holds 64 KiB, so this does not block; a child that does not read it is not our fault.
        let _ = std::fs::File::from(stdin_write).write_all(bytes);
    }
    Ok(Spawned { pid, stdout, stderr })
}

/// The C strings of a launch and the pointer arrays into them, alive until after `exec`.
struct Strings {
    path: CString,
    argv_pointers: Vec<*const libc::c_char>,
    env_pointers: Vec<*const libc::c_char>,
    _owned: Vec<CString>,
}

impl Strings {
    fn new(spec: &LaunchSpec) -> io::Result<Self> {
        let path = match &spec.program {
            Program::Path(path) => CString::new(path.as_os_str().as_bytes())?,
            Program::Fd(_) => CString::default(),
        };
        let argv: Vec<CString> =
            spec.argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?;
        let env = spec.env.iter().map(|(name, value)| {
            let mut entry = name.as_bytes().to_vec();
            entry.push(b'=');
            entry.extend_from_slice(value.as_bytes());
            CString::new(entry)
        });
        let env: Vec<CString> = env.collect::<Result<_, _>>()?;
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
        };
        let (argv_pointers, env_pointers) = (pointers(&argv), pointers(&env));
        Ok(Self { path, argv_pointers, env_pointers, _owned: argv.into_iter().chain(env).collect() })
    }
}

/// Steps of the child that can fail, by the number they are reported under.
const STEPS: [&str; 7] =
    ["descriptors", "working directory", "session", "groups and user", "signal at our death", "exec", "rights"];

/// All the child needs between `clone` and `exec`; only plain values and pointers into [`Strings`].
struct Child<'s> {
    program: Option<RawFd>,
    path: *const libc::c_char,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
    cwd: RawFd,
    report: RawFd,
    numbers: Vec<(RawFd, RawFd)>,
    credentials: Option<Credentials>,
    umask: u32,
    death_signal: Option<Signal>,
    parent: u32,
    limits: &'s [(Resource, u64)],
    oom_score_adjust: &'s str,
    no_new_privs: bool,
    /// The rights that are left; `None` leaves all.
    capabilities: Option<u64>,
    group: Option<RawFd>,
}

/// `struct __user_cap_header_struct` and two of `__user_cap_data_struct`, as version 3 has them.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Child<'_> {
    /// Lowest number for temporary descriptors: above every number a child can ask for.
    const ABOVE: RawFd = 64;

    /// Size of its stack, in units of 16 bytes, which is how a stack is aligned: far more than it needs.
    const STACK: usize = 64 * 1024 / 16;

    /// Makes the process, and waits for its `exec` or its end.
    fn begin(&mut self) -> io::Result<Pid> {
        let mut stack: Vec<MaybeUninit<u128>> = Vec::with_capacity(Self::STACK);
        let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
        // A change of user in memory that is also ours makes that secret even from ourselves.
        let dumpable = prctl::get_dumpable();
        // SAFETY: the stack grows down from its aligned top and, like all the child reads, outlives the call, which returns
        // once nobody else uses our memory (VFORK). Descriptors, signal handlers, working directory and rights are not
        // shared. The child makes system calls only and ends in exec or _exit; the one thread whose locals and errno it
        // uses stands still meanwhile.
        let pid = unsafe {
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            libc::clone(run_child, top.cast(), flags, ptr::from_mut(self).cast())
        };
        let born = if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) };
        if self.credentials.is_some() && dumpable == Ok(true) {
            let _ = prctl::set_dumpable(true);
        }
        born
    }

    fn run(&mut self) -> ! {
        let step = self.prepare_and_exec();
        let message = [step, io::Error::last_os_error().raw_os_error().unwrap_or(0)];
        // SAFETY: writes eight initialised bytes to an open descriptor, then ends without running destructors.
        unsafe {
            libc::write(self.report, message.as_ptr().cast(), size_of_val(&message));
            libc::_exit(127)
        }
    }

    /// Returns the number of the failed step, with `errno` set.
    fn prepare_and_exec(&mut self) -> i32 {
        if self.move_descriptors().is_none() {
            return 0;
        }
        // SAFETY: plain system calls on integers; the pointers handed to exec live in memory that the parent keeps.
        unsafe {
            if libc::fchdir(self.cwd) != 0 {
                return 1;
            }
            if libc::setsid() < 0 {
                return 2;
            }
            libc::umask(self.umask);
            // What takes the rights that are given up next.
            self.join_group();
            self.adjust_oom_score();
            for (resource, limit) in self.limits {
                // Computed to be allowed; one that is refused all the same leaves the limit we have.
                let _ = setrlimit(*resource, *limit, *limit);
            }
            self.bound_capabilities();
            // Not by the C library's functions of these names: those have all threads they know of follow.
            if let Some(who) = &self.credentials
                && (libc::syscall(libc::SYS_setgroups, who.groups.len(), who.groups.as_ptr()) != 0
                    || libc::syscall(libc::SYS_setresgid, who.gid, who.gid, who.gid) != 0
                    || libc::syscall(libc::SYS_setresuid, who.uid, who.uid, who.uid) != 0)
            {
                return 3;
            }
            if !self.drop_capabilities() {
                return 6;
            }
            // After the change of user, which would clear it.
            if let Some(signal) = self.death_signal {
                if libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) != 0 {
                    return 4;
                }
                // The supervisor may have died before the line above.
                if libc::getppid().cast_unsigned() != self.parent {
                    libc::_exit(127);
                }
            }
            for signal in 1..=31 {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            match self.program {
                None => libc::execve(self.path, self.argv, self.envp),
                Some(fd) => libc::execveat(fd, self.path, self.argv.cast(), self.envp.cast(), libc::AT_EMPTY_PATH),
            };
        }
        5
    }

    /// Enters its control group, if that still exists; without it the sweep goes by other signs.
    fn join_group(&self) {
        if let Some(list) = self.group {
            // SAFETY: writes one initialised byte to an open descriptor. "0" is whoever writes.
            unsafe { libc::write(list, c"0".as_ptr().cast(), 1) };
        }
    }

    fn adjust_oom_score(&self) {
        let text = self.oom_score_adjust;
        // SAFETY: a constant path, and bytes that live in memory that the parent keeps. Lowering may be refused.
        unsafe {
            let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if file >= 0 {
                libc::write(file, text.as_ptr().cast(), text.len());
                libc::close(file);
            }
        }
    }

    /// Takes away for good, from whatever it runs, the rights it is not to have. Where that itself is not allowed (docker
    /// without SETPCAP), `no_new_privs` does as much.
    fn bound_capabilities(&self) {
        let Some(kept) = self.capabilities else { return };
        for number in 0..64_u32 {
            if kept & (1 << number) == 0 {
                // SAFETY: takes integers only; a number the kernel does not know is refused.
                unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
            }
        }
    }

    /// After the change of user: only what is kept, nothing to hand on, and no way to more.
    fn drop_capabilities(&self) -> bool {
        const VERSION_3: u32 = 0x2008_0522;
        if self.no_new_privs && prctl::set_no_new_privs().is_err() {
            return false;
        }
        let mut header = CapabilityHeader { version: VERSION_3, pid: 0 };
        let mut words = [CapabilityWord { effective: 0, permitted: 0, inheritable: 0 }; 2];
        // SAFETY: both structs are as the kernel wants them for this version, and outlive the calls.
        unsafe {
            if libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) != 0 {
                return false;
            }
            let kept = self.capabilities.unwrap_or(u64::MAX);
            let halves = [kept & u64::from(u32::MAX), kept >> 32].map(|half| u32::try_from(half).unwrap_or(0));
            for (word, kept) in words.iter_mut().zip(halves) {
                word.effective &= kept;
                word.permitted &= kept;
                // Taking from this one also takes from the ambient ones.
                word.inheritable = 0;
            }
            libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) == 0
        }
    }

    /// Puts every descriptor on its number and lets `exec` close the rest.
    fn move_descriptors(&mut self) -> Option<()> {
        let away = |fd: RawFd| -> Option<RawFd> {
            // SAFETY: duplicates an open descriptor.
            let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, Self::ABOVE) };
            (copy >= 0).then_some(copy)
        };
        // First out of the way, so that no number asked for is still in use by another.
        self.report = away(self.report)?;
        self.cwd = away(self.cwd)?;
        if let Some(fd) = self.program {
            self.program = Some(away(fd)?);
        }
        if let Some(fd) = self.group {
            self.group = Some(away(fd)?);
        }
        for (fd, _) in &mut self.numbers {
            *fd = away(*fd)?;
        }
        // SAFETY: marks descriptors close-on-exec; a kernel without the flag leaves them as they are, and ours have
        // the mark from their creation.
        unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
        for (fd, number) in &self.numbers {
            // SAFETY: both are descriptor numbers of this process; dup2 leaves the copy open across exec.
            if unsafe { libc::dup2(*fd, *number) } < 0 {
                return None;
            }
        }
        Some(())
    }
}

/// Where the child begins.
extern "C" fn run_child(child: *mut libc::c_void) -> libc::c_int {
    // SAFETY: this is the `Child` of `begin`, which does not touch it until we have ended or executed.
    unsafe { (*child.cast::<Child<'_>>()).run() }
}

/// Turns what the child wrote (nothing after a successful exec) into an error.
fn read_report(said: &[u8]) -> Option<io::Error> {
    let (step, errno) = said.split_at_checked(4)?;
    let step = i32::from_ne_bytes(step.try_into().ok()?);
    let errno = i32::from_ne_bytes(errno.try_into().ok()?);
    let error = io::Error::from_raw_os_error(errno);
    let name = usize::try_from(step).ok().and_then(|step| STEPS.get(step)).copied().unwrap_or("start");
    Some(io::Error::new(error.kind(), format!("{name}: {error}")))
}

#[cfg(test)]
mod tests;
