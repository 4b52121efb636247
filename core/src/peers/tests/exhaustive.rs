//! Two machines, a few dials: every order of everything.

use std::collections::BTreeSet;

use super::world::{Rules, Step, World};
use crate::Mode;
use crate::peers::{AcceptPolicy, ReconnectPolicy};
