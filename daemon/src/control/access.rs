//! Who may do what: by the uid of the peer's process, and by its groups as the user database has them.
//!
//! The kernel tells only the primary group of a peer (`SO_PEERCRED`, unix(7)), so the others are looked up.

use std::{
    collections::HashMap,
    ffi::CString,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::rpcs::Permission;

/// Members may change what the daemon does.
pub(super) const ADMIN_GROUP: &str = "lake-admin";
/// Members may look and query.
pub(super) const READ_GROUP: &str = "lake-read";

/// How long an answer of the user database is used: a flood of calls must not become a flood of look-ups.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Users that are remembered.
const REMEMBERED_USERS: usize = 256;

/// The uid and the primary group of a process at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Credentials {
    /// Effective user id.
    pub(super) uid: u32,
    /// Effective group id.
    pub(super) gid: u32,
}

/// What the user database knows.
pub(super) trait UserDatabase: fmt::Debug + Send + Sync {
    /// Id of a group; `None` when there is none of that name.
    fn group(&self, name: &str) -> io::Result<Option<u32>>;
    /// Name of a user and all groups, primary one included; `None` when there is no such user.
    fn user(&self, uid: u32) -> io::Result<Option<(String, Vec<u32>)>>;
}

/// The system's (passwd(5), group(5) and what nsswitch.conf(5) adds).
#[derive(Debug)]
pub(super) struct SystemUsers;

impl UserDatabase for SystemUsers {
    fn group(&self, name: &str) -> io::Result<Option<u32>> {
        Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
    }

    fn user(&self, uid: u32) -> io::Result<Option<(String, Vec<u32>)>> {
        let Some(user) = User::from_uid(Uid::from_raw(uid))? else { return Ok(None) };
        let name = CString::new(user.name.as_str())?;
        let groups = getgrouplist(&name, user.gid)?;
        Ok(Some((user.name, groups.into_iter().map(Gid::as_raw).collect())))
    }
}

/// What a peer may do, and what is said to it when that is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// The most that it may do; `None` for strangers.
    pub(super) granted: Option<Permission>,
    /// Its name, or its number.
    pub(super) name: String,
    /// Whether there are groups of these names on the machine.
    pub(super) admin_group: bool,
    /// The same of the readers.
    pub(super) read_group: bool,
}

/// Decides.
#[derive(Debug)]
pub(super) struct Authority {
    own: u32,
    users: Arc<dyn UserDatabase>,
    remembered: Mutex<HashMap<Credentials, (Instant, Access)>>,
}

impl Authority {
    /// For a daemon of this user.
    pub(super) fn new(own: u32, users: Arc<dyn UserDatabase>) -> Self {
        Self { own, users, remembered: Mutex::default() }
    }

    /// For this process, by the system's user database.
    pub(super) fn system() -> Self {
        Self::new(Uid::effective().as_raw(), Arc::new(SystemUsers))
    }

    /// The daemon's user.
    pub(super) fn own(&self) -> u32 {
        self.own
    }

    /// Whether a user needs no group.
    pub(super) fn is_owner(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own
    }

    /// What a peer may do.
    ///
    /// # Errors
    /// The user database cannot be read.
    pub(super) async fn access(self: &Arc<Self>, peer: Credentials) -> io::Result<Access> {
        if self.is_owner(peer.uid) {
            let name = peer.uid.to_string();
            return Ok(Access {
                granted: Some(Permission::Change),
                name,
                admin_group: true,
                read_group: true,
            });
        }
        if let Some(access) = self.recall(peer) {
            return Ok(access);
        }
        // A directory service may take its time.
        let this = Arc::clone(self);
        let access =
            tokio::task::spawn_blocking(move || this.look_up(peer)).await.map_err(io::Error::other)??;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_USERS {
            remembered.clear();
        }
        remembered.insert(peer, (Instant::now(), access.clone()));
        Ok(access)
    }

    fn recall(&self, peer: Credentials) -> Option<Access> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, access) = remembered.get(&peer)?;
        (at.elapsed() < REMEMBERED).then(|| access.clone())
    }

    fn look_up(&self, peer: Credentials) -> io::Result<Access> {
        let admins = self.users.group(ADMIN_GROUP)?;
        let readers = self.users.group(READ_GROUP)?;
        let (name, mut groups) =
            self.users.user(peer.uid)?.unwrap_or_else(|| (peer.uid.to_string(), Vec::new()));
        // What the kernel proves counts too: a service may run with a group that its user does not have.
        groups.push(peer.gid);
        let is_in = |group: Option<u32>| group.is_some_and(|group| groups.contains(&group));
        let granted = if is_in(admins) {
            Some(Permission::Change)
        } else if is_in(readers) {
            Some(Permission::Read)
        } else {
            None
        };
        Ok(Access { granted, name, admin_group: admins.is_some(), read_group: readers.is_some() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Groups and users by heart.
    #[derive(Debug, Default)]
    pub(in crate::control) struct Book {
        groups: HashMap<&'static str, u32>,
        users: HashMap<u32, (&'static str, Vec<u32>)>,
        asked: AtomicUsize,
    }

    impl UserDatabase for Book {
        fn group(&self, name: &str) -> io::Result<Option<u32>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(self.groups.get(name).copied())
        }
        fn user(&self, uid: u32) -> io::Result<Option<(String, Vec<u32>)>> {
            if uid == 666 {
                return Err(io::Error::other("the directory is down"));
            }
            Ok(self.users.get(&uid).map(|(name, groups)| ((*name).to_owned(), groups.clone())))
        }
    }

    /// Group 10 are the admins, 20 the readers.
    pub(in crate::control) fn book() -> Book {
        Book {
            groups: HashMap::from([(ADMIN_GROUP, 10), (READ_GROUP, 20)]),
            users: HashMap::from([
                (1000, ("ann", vec![1000, 10])),
                (1001, ("ron", vec![1001, 20])),
                (1002, ("both", vec![1002, 20, 10])),
                (1003, ("eve", vec![1003])),
            ]),
            ..Book::default()
        }
    }

    async fn granted(authority: &Arc<Authority>, uid: u32, gid: u32) -> Option<Permission> {
        authority.access(Credentials { uid, gid }).await.unwrap().granted
    }

    /// The same users on a machine without the groups.
    pub(in crate::control) fn without_groups() -> Book {
        Book { groups: HashMap::new(), ..book() }
    }

    #[tokio::test]
    async fn groups_of_the_user_database_decide() {
        let authority = Arc::new(Authority::new(500, Arc::new(book())));
        assert_eq!(granted(&authority, 0, 0).await, Some(Permission::Change));
        assert_eq!(granted(&authority, 500, 500).await, Some(Permission::Change));
        assert_eq!(granted(&authority, 1000, 1000).await, Some(Permission::Change));
        assert_eq!(granted(&authority, 1001, 1001).await, Some(Permission::Read));
        assert_eq!(granted(&authority, 1002, 1002).await, Some(Permission::Change));
        assert_eq!(granted(&authority, 1003, 1003).await, None);
        assert_eq!(granted(&authority, 65_534, 65_534).await, None);
        // A primary group that the kernel tells of, of a user whom the database does not know.
        assert_eq!(granted(&authority, 2000, 20).await, Some(Permission::Read));
    }

    #[tokio::test]
    async fn without_the_groups_only_owners_have_rights() {
        let authority = Arc::new(Authority::new(500, Arc::new(without_groups())));
        let access = authority.access(Credentials { uid: 1000, gid: 1000 }).await.unwrap();
        assert_eq!((access.granted, access.admin_group, access.read_group), (None, false, false));
        assert_eq!(access.name, "ann");
        assert_eq!(granted(&authority, 500, 500).await, Some(Permission::Change));
    }

    #[tokio::test]
    async fn a_user_database_that_fails_grants_nothing() {
        let authority = Arc::new(Authority::new(500, Arc::new(book())));
        let error = authority.access(Credentials { uid: 666, gid: 10 }).await.unwrap_err();
        assert_eq!(error.to_string(), "the directory is down");
    }

    #[tokio::test]
    async fn a_flood_of_calls_is_one_look_up() {
        let users = Arc::new(book());
        let authority = Arc::new(Authority::new(500, Arc::clone(&users) as Arc<dyn UserDatabase>));
        for _ in 0..1000 {
            assert_eq!(granted(&authority, 1001, 1001).await, Some(Permission::Read));
        }
        assert_eq!(users.asked.load(Ordering::Relaxed), 2, "both groups, once");
    }

    #[test]
    fn the_system_knows_root() {
        let (name, groups) = SystemUsers.user(0).unwrap().unwrap();
        assert_eq!(name, "root");
        assert!(groups.contains(&0));
        assert_eq!(SystemUsers.group("no-such-group-here").unwrap(), None);
    }
}
