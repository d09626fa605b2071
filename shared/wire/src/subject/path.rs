//! The path of a URL or of a route, as the last segments of a subject.

use super::SubjectError;
use crate::percent;

/// Returns a decoded URL path as subject segments: `/dcache/all` gives `dcache.all`.
///
/// Letters, digits and hyphens stand for themselves, all else is `%xx`. An empty path is `_`, and so is an empty part: the
/// trailing slash of `/mint/` makes it `mint._`, which is another endpoint. spec: microbus-wire 2.2
pub fn path_segments(path: &str) -> String {
    let mut segments = String::with_capacity(path.len());
    for (index, part) in parts(path).enumerate() {
        if index > 0 {
            segments.push('.');
        }
        push_part(&mut segments, part);
    }
    segments
}

/// Returns a route as the last segments of a subscription: as [`path_segments`], but `{name}`, `{}` and `*` match any
/// segment, and a `{name...}` at the end matches the rest.
///
/// # Errors
/// [`SubjectError::Rest`] if a `{name...}` is not the last part.
pub fn route_segments(route: &str) -> Result<String, SubjectError> {
    let mut segments = String::with_capacity(route.len());
    let mut rest = false;
    for (index, part) in parts(route).enumerate() {
        if rest {
            return Err(SubjectError::Rest);
        }
        if index > 0 {
            segments.push('.');
        }
        let argument = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        match argument {
            Some(name) if name.ends_with("...") => {
                rest = true;
                segments.push('>');
            }
            Some(_) => segments.push('*'),
            None if part == "*" => segments.push('*'),
            None => push_part(&mut segments, part),
        }
    }
    Ok(segments)
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn push_part(segments: &mut String, part: &str) {
    if part.is_empty() {
        segments.push('_');
    }
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => segments.push(char::from(byte)),
            other => percent::push_escaped(segments, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::percent::decode;

    #[test]
    fn a_path_is_joined_by_dots_and_escaped() {
        for (path, segments) in [
            ("", "_"),
            ("/", "_"),
            ("/mint", "mint"),
            ("/Mint", "Mint"),
            ("/mint/", "mint._"),
            ("/dcache/all", "dcache.all"),
            ("/openapi.json", "openapi%2ejson"),
            ("/a_b/{x}/é", "a%5fb.%7bx%7d.%c3%a9"),
            ("//x", "_.x"),
        ] {
            assert_eq!(path_segments(path), segments, "{path}");
        }
    }

    #[test]
    fn the_arguments_of_a_route_become_wildcards() {
        for (route, segments) in [
            ("/users/{id}/{rest...}", "users.*.>"),
            ("/{}/x/*", "*.x.*"),
            ("/openapi.json", "openapi%2ejson"),
            ("/", "_"),
        ] {
            assert_eq!(route_segments(route).as_deref(), Ok(segments), "{route}");
        }
        assert_eq!(route_segments("/{rest...}/x"), Err(SubjectError::Rest));
    }

    proptest! {
        #[test]
        fn a_path_can_be_read_back_from_its_segments(path in "(/[a-zA-Z0-9._{} %*>é-]{1,12}){1,5}") {
            let segments = path_segments(&path);
            let back: String = segments.split('.').map(|part| format!("/{}", decode::<false>(part).unwrap())).collect();
            prop_assert_eq!(back, path);
        }
    }
}
