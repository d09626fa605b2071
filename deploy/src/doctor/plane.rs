//! Whether credentials and process agree about the plane: if not, the broker refuses every call, and callers see time-outs.

use super::place::{Place, planes_of};
use super::{Check, Finding};
use microbus_wire::Plane;

pub(super) const CHECK: Check = Check {
    id: "plane",
    what: "the plane of the credentials against that of the process",
    expected: "every pattern begins with MICROBUS_PLANE",
};

pub(super) fn check(places: &[Place], wanted: Option<&Plane>) -> Vec<Finding> {
    let mut wrong = Vec::new();
    let mut agreeing = 0_usize;
    for place in places {
        let directory = place.directory.display();
        let plane = match place.plane() {
            Ok(plane) => plane,
            Err(text) => {
                wrong.push(CHECK.fail(
                    format!(
                        "{directory}: MICROBUS_PLANE is '{text}', and the process does not start"
                    ),
                    "letters and digits only",
                ));
                continue;
            }
        };
        if let Some(wanted) = wanted
            && *wanted != plane
        {
            wrong.push(CHECK.fail(
                format!(
                    "{directory}: the process will use {}, not {}",
                    plane.as_str(),
                    wanted.as_str()
                ),
                format!(
                    "set MICROBUS_PLANE={} and restart the process",
                    wanted.as_str()
                ),
            ));
        }
        for (path, _, jwt) in place.readable() {
            let path = path.display();
            match planes_of(jwt).as_slice() {
                [only] if *only == plane.as_str() => agreeing = agreeing.saturating_add(1),
                planes if planes.iter().any(|plane| ["*", ">"].contains(plane)) => {
                    wrong.push(CHECK.fail(
                        format!("{path}: patterns that reach every plane"),
                        "issue it again with --plane, and revoke this one",
                    ));
                }
                planes => wrong.push(CHECK.fail(
                    format!(
                        "{path} is for the plane {}, the process will use {}",
                        planes.join(", "),
                        plane.as_str()
                    ),
                    format!(
                        "issue it again with --plane {0}, or set MICROBUS_PLANE in {directory}",
                        plane.as_str()
                    ),
                )),
            }
        }
    }
    CHECK.all(wrong, || {
        format!("{agreeing} credentials agree with their process")
    })
}
