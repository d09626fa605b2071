// A browser that follows a login to its end, and prints the form that it would post back to the application.
//
// Usage: browser.mjs URL. It keeps cookies, runs no scripts, and exits 1 with what it last saw if there is no such form.

const cookies = new Map();
let url = new URL(process.argv[2]);
for (let step = 0; step < 10; step += 1) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const response = await fetch(url, { redirect: "manual", headers: { cookie } });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  const next = response.headers.get("location");
  if (next) {
    url = new URL(next, url);
    continue;
  }
  const page = await response.text();
  const fields = [...page.matchAll(/name="([^"]+)" value="([^"]*)"/g)];
  if (response.status !== 200 || fields.length === 0) {
    console.error(`${url} answered ${response.status}: ${page}`);
    process.exit(1);
  }
  console.log(new URLSearchParams(fields.map(([, name, value]) => [name, value])).toString());
  process.exit(0);
}
console.error(`too many redirects; the last was to ${url}`);
process.exit(1);
