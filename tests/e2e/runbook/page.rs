//! A page of the runbook, as far as it can be followed.

use std::fs;
use std::path::{Path, PathBuf};

/// What a page says, in its order.
pub(super) struct Page {
    /// The file.
    pub(super) name: String,
    /// Headings of the second level.
    pub(super) sections: Vec<String>,
    /// What it tells to do.
    pub(super) steps: Vec<Step>,
    /// Where it leads: paths from the folder of the pages.
    pub(super) links: Vec<String>,
}

/// One thing that a page tells to do.
pub(super) enum Step {
    /// Commands for a plain machine.
    Run {
        /// The commands.
        script: String,
        /// How they end.
        exit: i32,
    },
    /// Commands for a machine with this tool.
    Elsewhere {
        /// The tool.
        tool: String,
    },
    /// Credentials and keys are brought to the issuers.
    RollOut,
    /// The broker is started again with the configuration in `ops`.
    RestartBroker,
    /// A second broker is started with the configuration in `ops.edge`.
    StartEdgeBroker,
}

impl Page {
    /// Returns where the pages are.
    pub(super) fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/runbook")
    }

    /// Reads every page.
    pub(super) fn all() -> Vec<Self> {
        let mut names: Vec<_> = fs::read_dir(Self::folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".md"))
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// Reads the page `name`.
    pub(super) fn read(name: &str) -> Self {
        let text = fs::read_to_string(Self::folder().join(name)).unwrap();
        let mut page = Self {
            name: name.to_owned(),
            sections: Vec::new(),
            steps: Vec::new(),
            links: Vec::new(),
        };
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(info) = line.strip_prefix("```") {
                let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                page.steps.extend(Step::of(info, &block.join("\n"), name));
            } else if let Some(step) = line.strip_prefix("<!-- ") {
                page.steps.push(match step {
                    "roll out -->" => Step::RollOut,
                    "restart the broker -->" => Step::RestartBroker,
                    "start the edge broker -->" => Step::StartEdgeBroker,
                    other => panic!("{name}: nobody knows how to {other}"),
                });
            } else {
                page.sections
                    .extend(line.strip_prefix("## ").map(str::to_owned));
                page.links.extend(links_of(line));
            }
        }
        page
    }

    /// Tells whether the page is for a task, and not about the others.
    pub(super) fn is_task(&self) -> bool {
        !["README.md", "roll-out.md"].contains(&self.name.as_str())
    }
}

impl Step {
    /// Returns what a block is; one that is no command is nothing to do.
    fn of(info: &str, script: &str, page: &str) -> Option<Self> {
        let mut words = info.split(' ');
        match (words.next()?, words.next()) {
            ("sh", None) => Some(Self::Run {
                script: script.to_owned(),
                exit: 0,
            }),
            ("sh", Some(word)) => Some(match word.strip_prefix("exit=") {
                Some(exit) => Self::Run {
                    script: script.to_owned(),
                    exit: exit.parse().unwrap(),
                },
                None => Self::Elsewhere {
                    tool: word.to_owned(),
                },
            }),
            ("text" | "yaml", None) => None,
            _ => panic!("{page}: a block of {info:?} is neither commands nor text"),
        }
    }
}

/// Returns the targets of links to files in a line.
fn links_of(line: &str) -> impl Iterator<Item = String> {
    let targets = line.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.starts_with("http") && !target.starts_with('#'))
        .map(str::to_owned)
}
