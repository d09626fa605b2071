//! Every page of the runbook, followed to the letter: its commands run on a bus with both issuers, as an operator would
//! type them.
//!
//! A block of a page that begins with three backticks and `sh` is run, and must end with 0, or as `exit=N` says. A block
//! with the name of a tool behind `sh` is for a machine that this one is not: such blocks are counted. Where a page says
//! `<!-- roll out -->`, the station's credentials and keys are brought to the issuers, which are started again; other
//! comments of this kind are done as they say.

mod page;
mod station;

use page::{Page, Step};
use station::Station;
use std::collections::BTreeMap;

/// Blocks for tools that need more than a plain machine, over all pages.
const ELSEWHERE: [(&str, usize); 2] = [("kubectl", 3), ("systemctl", 3)];

/// The sections of each page that is for a task, in their order.
const SECTIONS: [&str; 5] = ["Symptom", "Decide", "Do", "Prove", "Afterwards"];

/// Follows a page from its first to its last step.
async fn follow(name: &str) {
    let page = Page::read(name);
    let mut station = Station::start().await;
    let mut run = 0;
    for step in &page.steps {
        match step {
            Step::Run { script, exit } => {
                let ended = station.run(script).await;
                assert_eq!(ended.status, *exit, "{name}:\n{script}\n{}", ended.said);
                run += 1;
            }
            Step::RollOut => station.roll_out().await,
            Step::RestartBroker => station.restart_broker().await,
            Step::StartEdgeBroker => station.start_edge_broker().await,
            Step::Elsewhere { .. } => {}
        }
    }
    assert!(run > 0, "{name} runs nothing");
}

#[tokio::test]
async fn leaked_credentials_are_cut_off_and_replaced() {
    follow("leaked-credentials.md").await;
}

#[tokio::test]
async fn user_keys_are_rotated_and_the_old_ones_are_dead() {
    follow("rotate-user-keys.md").await;
}

#[tokio::test]
async fn a_service_is_added() {
    follow("add-a-service.md").await;
}

#[tokio::test]
async fn a_service_is_let_mint() {
    follow("grant-trust-root.md").await;
}

#[tokio::test]
async fn another_environment_is_set_up_apart_from_this_one() {
    follow("switch-environments.md").await;
}

#[tokio::test]
async fn an_account_gets_another_signing_key_and_is_replaced() {
    follow("compromised-account-key.md").await;
}

#[tokio::test]
async fn everything_moves_to_a_new_operator() {
    follow("compromised-operator-key.md").await;
}

#[tokio::test]
async fn a_user_is_given_limits() {
    follow("per-user-limits.md").await;
}

#[tokio::test]
async fn edge_clients_are_kept_off_the_bus() {
    follow("edge-clients.md").await;
}

#[tokio::test]
async fn the_bearer_key_is_rotated() {
    follow("rotate-bearer-key.md").await;
}

#[test]
fn each_page_has_its_sections_and_is_followed_by_a_test() {
    let this = include_str!("runbook.rs");
    let mut elsewhere = BTreeMap::new();
    for page in Page::all() {
        for step in &page.steps {
            if let Step::Elsewhere { tool } = step {
                *elsewhere.entry(tool.clone()).or_insert(0) += 1;
            }
        }
        if !page.is_task() {
            continue;
        }
        assert_eq!(page.sections, SECTIONS, "{}", page.name);
        let followed = format!("follow(\"{}\")", page.name);
        assert!(this.contains(&followed), "nobody follows {}", page.name);
    }
    let expected = ELSEWHERE.map(|(tool, count)| (tool.to_owned(), count));
    assert_eq!(elsewhere, BTreeMap::from(expected));
}

#[test]
fn the_first_page_leads_to_every_other_one_and_every_link_leads_somewhere() {
    let index = Page::read("README.md");
    for page in Page::all() {
        if page.is_task() {
            assert!(
                index.links.contains(&page.name),
                "{} is not listed",
                page.name
            );
        }
        for link in &page.links {
            let target = Page::folder().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{} leads to {link}", page.name);
        }
    }
}

#[test]
fn every_alarm_leads_to_a_page_or_says_what_to_do_by_itself() {
    let alarms = include_str!("../../deploy/observability/README.md");
    let leads: Vec<_> = alarms
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("](../runbook/"))
        .collect();
    for line in &leads {
        for part in line.split("](../runbook/").skip(1) {
            let name = part.split([')', '#']).next().unwrap();
            assert!(Page::folder().join(name).exists(), "no page {name}: {line}");
        }
    }
    assert!(leads.len() > 5, "{leads:?}");
}
