"use strict";

const find = (id) => document.getElementById(id);

/** Makes an element; what callers and claims say only ever becomes text. */
function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function lasting(seconds) {
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const start = units.findIndex(([, size]) => seconds >= size);
  if (start < 0) return "0s";
  let rest = Math.floor(seconds);
  return units.slice(start, start + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return `${count}${unit}`;
  }).join(" ");
}

const grouped = (number) => number.toLocaleString("en");

function showKeys(status) {
  const signing = status.keys.find((key) => key.state === "signs");
  const left = status.next_rotation_seconds;
  const age = signing?.age_seconds ?? 0;
  const share = left === null ? (signing ? 100 : 0) : (100 * age) / Math.max(age + left, 1);
  find("arc").setAttribute("stroke-dasharray", `${Math.max(share, signing ? 0.5 : 0)} 100`);
  find("rotation").textContent = left !== null ? lasting(left) : signing ? lasting(age) : "no key";
  find("rotation-label").textContent = left !== null ? "to the next rotation"
    : signing ? "since the key signs; the operator rotates" : "signs";
  const states = { waits: "waits", signs: "signs", verifies: "verifies" };
  find("keys").replaceChildren(...status.keys.map((key) => {
    const times = [];
    if (key.age_seconds !== null) times.push(`for ${lasting(key.age_seconds)}`);
    if (!key.published) times.push("in memory only");
    if (key.left_seconds !== null) times.push(`published for another ${lasting(key.left_seconds)}`);
    return make("li", "",
      make("div", "row", make("span", "kid", key.kid), make("span", `state ${key.state}`, states[key.state])),
      make("p", "quiet", times.join(", ")));
  }));
}

function showChecks(status) {
  find("checks").replaceChildren(...status.checks.map((check) => {
    const dot = make("span", `dot ${check.ok ? "good" : "bad"}`);
    return make("li", "row", make("span", "", dot, check.name), make("span", "quiet", check.says));
  }));
}

function showBus(status) {
  const figures = [
    ["other replicas", status.replicas],
    ["keys of other replicas", status.foreign_keys],
    ["warm verifiers", status.verifiers.warm],
    ["cold or silent verifiers", status.verifiers.cold + status.verifiers.unknown],
  ];
  find("bus").replaceChildren(...figures.map(([name, number]) =>
    make("div", "", make("dt", "", name), make("dd", "", grouped(number)))));
}

function showCallers(status) {
  const most = Math.max(1, ...status.callers.map((caller) => caller.minted));
  const rows = status.callers.slice(0, 8).map((caller) => {
    const bar = make("i", "");
    bar.style.width = `${(100 * caller.minted) / most}%`;
    const counts = make("span", "");
    if (caller.refused > 0) counts.append(make("span", "refused", `${grouped(caller.refused)} refused`));
    counts.append(make("span", "count", grouped(caller.minted)));
    return make("li", "", make("div", "row", make("span", "", caller.caller), counts), make("div", "bar", bar));
  });
  if (status.callers.length > 8) rows.push(make("li", "quiet", `and ${status.callers.length - 8} more callers`));
  if (rows.length === 0) rows.push(make("li", "quiet", "Nobody has asked for a token since the start."));
  find("callers").replaceChildren(...rows);
}

function verdict(text, kind) {
  find("verdict").textContent = text;
  find("verdict").className = `verdict ${kind}`;
}

async function refresh() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store" });
    const status = await answer.json();
    document.title = `${status.service} – ${status.ready ? "ready" : status.reason}`;
    find("service").textContent = status.service;
    find("about").textContent = [
      status.instance, `plane ${status.plane}`, status.deployment, `version ${status.version}`,
      `up ${lasting(status.uptime_seconds)}`,
    ].join(" · ");
    verdict(status.ready ? "ready" : status.reason, status.ready ? "good" : "bad");
    showKeys(status);
    showChecks(status);
    showBus(status);
    showCallers(status);
    find("mint").hidden = !status.mints_here;
    find("updated").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch {
    verdict("out of reach", "bad");
  }
}

function decoded(part) {
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** Lays an object out with one line per member. */
function laidOut(object) {
  const lines = Object.entries(object).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}`;
}

function showToken(token) {
  const [header, claims, signature] = token.split(".");
  find("token").replaceChildren(
    make("span", "part-header", header), ".",
    make("span", "part-claims", claims), ".",
    make("span", "part-signature", signature));
  const payload = decoded(claims);
  find("token-header").textContent = laidOut(decoded(header));
  find("token-claims").textContent = laidOut(payload);
  find("expiry").textContent = `valid for ${lasting(payload.exp - payload.iat)}, until ${new Date(payload.exp * 1000).toLocaleTimeString()}`;
  find("waiting").hidden = true;
  find("parts").hidden = false;
}

function refuse(text) {
  find("refusal").textContent = text;
  find("refusal").hidden = text === "";
}

async function mint(event) {
  event.preventDefault();
  refuse("");
  const text = find("claims").value;
  try {
    JSON.parse(text);
  } catch (error) {
    refuse(`The claims are no JSON: ${error.message}`);
    return;
  }
  const headers = { "Content-Type": "application/json" };
  const budget = find("budget").value.trim();
  if (budget) headers["Microbus-Time-Budget"] = budget;
  try {
    // As it was written: numbers too large for this language stay as they are.
    const answer = await fetch("/mint", { method: "POST", headers, body: `{"claims":${text}}` });
    const body = await answer.json();
    if (answer.ok) showToken(body.token);
    else refuse(`${answer.status}: ${body.err.error}`);
  } catch (error) {
    refuse(`The issuer cannot be reached: ${error.message}`);
  }
  refresh();
}

find("form").addEventListener("submit", mint);
refresh();
setInterval(refresh, 2000);
