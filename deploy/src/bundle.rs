//! Which services a Go program adds to its application, read from its text alone.
//!
//! Source: spec: deploy 4.

mod lexer;

use lexer::{Lexeme, lexemes};
use std::collections::BTreeMap;

/// What a `main.go` adds, by `X.Add(package.NewService()…)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The packages whose services are added, in the order of the file.
    pub packages: Vec<Added>,
    /// The lines with an argument of `Add` that does not begin with an imported package.
    pub unresolved: Vec<usize>,
}

/// A package and the line that adds its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The import path.
    pub package: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl Bundle {
    /// Reads the text of a Go file. Comments and strings are not taken for code.
    #[must_use]
    pub fn parse(go: &str) -> Self {
        let lexemes: Vec<_> = lexemes(go).collect();
        let imports = imports(&lexemes);
        let mut bundle = Self::default();
        for (index, three) in lexemes.windows(3).enumerate() {
            let [dot, add, open] = three else { continue };
            if dot.is(".") && add.is("Add") && open.is("(") {
                let arguments = lexemes.get(index + 3..).unwrap_or_default();
                bundle.take(arguments, &imports);
            }
        }
        bundle
    }

    fn take(&mut self, lexemes: &[Lexeme<'_>], imports: &BTreeMap<&str, &str>) {
        let mut depth = 0_usize;
        let mut is_first = true;
        for (index, lexeme) in lexemes.iter().enumerate() {
            if is_first && !lexeme.is(")") {
                is_first = false;
                let dot = lexemes.get(index + 1).is_some_and(|next| next.is("."));
                match imports
                    .get(lexeme.text)
                    .filter(|_| dot && !lexeme.is_string)
                {
                    Some(package) => self.packages.push(Added {
                        package: (*package).to_owned(),
                        line: lexeme.line,
                    }),
                    None => self.unresolved.push(lexeme.line),
                }
            }
            match lexeme.text {
                _ if lexeme.is_string => {}
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => match depth.checked_sub(1) {
                    Some(outer) => depth = outer,
                    None => return,
                },
                "," if depth == 0 => is_first = true,
                _ => {}
            }
        }
    }
}

/// Returns the path of a package below the root of its module, `None` for a package of another module.
///
/// `go_mod` is the text of the module's `go.mod`.
#[must_use]
pub fn path_in_module<'a>(go_mod: &str, package: &'a str) -> Option<&'a str> {
    let mut lines = go_mod.lines().map(|line| {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        code.trim()
    });
    let module = lines.find_map(|line| line.strip_prefix("module"))?;
    let module = module.trim().trim_matches('"');
    let below = package.strip_prefix(module)?;
    if below.is_empty() {
        return Some(".");
    }
    below.strip_prefix('/')
}

/// Returns the imported packages by the name that the file uses.
fn imports<'a>(lexemes: &[Lexeme<'a>]) -> BTreeMap<&'a str, &'a str> {
    let mut imports = BTreeMap::new();
    let mut rest = lexemes.iter();
    while let Some(lexeme) = rest.next() {
        if !lexeme.is("import") {
            continue;
        }
        let mut in_block = false;
        let mut alias = None;
        for lexeme in rest.by_ref() {
            if lexeme.is_string {
                let name = alias.take().unwrap_or_else(|| package_name(lexeme.text));
                imports.insert(name, lexeme.text);
                if !in_block {
                    break;
                }
            } else if lexeme.is("(") {
                in_block = true;
            } else if lexeme.is(")") {
                break;
            } else {
                alias = Some(lexeme.text).filter(|text| *text != ";");
            }
        }
    }
    imports
}

/// Returns the name that Go gives to a package by custom: the last part of its path that is no version.
fn package_name(path: &str) -> &str {
    let mut parts = path.rsplit('/');
    let last = parts.next().unwrap_or(path);
    let is_version = last
        .strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    if is_version {
        return parts.next().unwrap_or(last);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = r#"package main

import "fmt"
import (
	"example.com/app/billing" // the service of the invoices
	shop "example.com/app/shopfront/v2"
	"github.com/microbus-io/fabric/application"
	"github.com/microbus-io/fabric/coreservices/accesstoken"
	"github.com/microbus-io/fabric/coreservices/httpingress"
)

// app.Add(commented.NewService())
func main() {
	app := application.New()
	app.Add(
		accesstoken.NewService(),
		httpingress.NewService().Init(func(svc *httpingress.Service) (err error) {
			svc.Middleware().Append("x", f(1, 2))
			return nil
		}),
	)
	/* app.Add(billing.NewService()) */
	app.Add(shop.NewService(), local())
	fmt.Println("app.Add(billing.NewService())", `app.Add(`, '"')
	app.Add(billing.NewService())
	app.Add()
}
"#;

    #[test]
    fn what_is_added_is_found_with_its_line() {
        let bundle = Bundle::parse(MAIN);
        let packages: Vec<_> = bundle
            .packages
            .iter()
            .map(|added| (added.package.as_str(), added.line))
            .collect();
        assert_eq!(
            packages,
            [
                ("github.com/microbus-io/fabric/coreservices/accesstoken", 16),
                ("github.com/microbus-io/fabric/coreservices/httpingress", 17),
                ("example.com/app/shopfront/v2", 23),
                ("example.com/app/billing", 25),
            ]
        );
        assert_eq!(bundle.unresolved, [23]);
    }

    #[test]
    fn a_file_that_is_cut_ends_the_reading() {
        for (end, _) in MAIN.char_indices() {
            drop(Bundle::parse(&MAIN[..end]));
        }
    }

    #[test]
    fn a_package_lies_below_the_root_of_its_module_or_elsewhere() {
        let go_mod = "// module x\nmodule example.com/app // ours\n\ngo 1.24\n";
        for (package, expected) in [
            ("example.com/app/billing", Some("billing")),
            ("example.com/app", Some(".")),
            ("example.com/application/x", None),
            ("example.com/other", None),
        ] {
            assert_eq!(path_in_module(go_mod, package), expected, "{package}");
        }
    }

    #[test]
    fn a_package_is_called_by_the_last_part_that_is_no_version() {
        assert_eq!(package_name("a/b"), "b");
        assert_eq!(package_name("a/b/v2"), "b");
        assert_eq!(package_name("a/vault"), "vault");
        assert_eq!(package_name("fmt"), "fmt");
    }
}
