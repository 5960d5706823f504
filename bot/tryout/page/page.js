// The page of `binnenbuurt try`: draws what the server tells, sends what somebody types. All text goes in as text, never as markup.
"use strict";

const words = JSON.parse(document.getElementById("words").textContent);
const at = (id) => document.getElementById(id);
const phones = new Map(); // name -> what belongs to that phone
const LONG = 420; // characters shown before "show all"
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 760px)");
let state = null;
let lastId = "";
let stream = null;
let shownPhone = "";

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

const ICONS = {
  send: "M3 11.5 21 3l-6 18-4-7z",
  voice: "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15zm-6-3.5a6 6 0 0 0 12 0h-1.8a4.2 4.2 0 0 1-8.4 0zM11 17.5V21h2v-3.5z",
  photo: "M9 4 7.5 6H4v14h16V6h-3.5L15 4zm3 4.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zm0 2a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  reply: "M10 5 3 11.5 10 18v-4c5 0 8 1.5 11 5-1-6-4.5-10-11-10.5z",
  home: "M4 21V11l8-7 8 7v10h-6v-6h-4v6z",
};

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const euro = (amount) => amount.toLocaleString("nl-NL", { style: "currency", currency: "EUR" });

// --- asking the server ---

async function ask(what, body = {}) {
  try {
    const answer = await fetch(`do/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) return true;
    toast((await answer.json()).error);
  } catch {
    if (at("away").hidden) toast(words.errors.away);
  }
  return false;
}

let toastTimer = 0;
function toast(text) {
  at("toast").textContent = text;
  at("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (at("toast").hidden = true), 6000);
}

// --- hearing from the server ---

function connect() {
  if (stream) stream.close();
  stream = new EventSource(`events?since=${encodeURIComponent(lastId)}`);
  stream.onopen = () => (at("away").hidden = true);
  stream.onerror = () => {
    at("away").textContent = words.errors.away;
    at("away").hidden = false;
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  stream.addEventListener("fresh", (event) => {
    lastId = event.lastEventId;
    for (const phone of phones.values()) empty(phone);
  });
  stream.addEventListener("lines", (event) => {
    lastId = event.lastEventId;
    waiting.push(...JSON.parse(event.data));
    if (state && state.ready) place();
  });
  stream.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    if (state.ready) draw();
  });
}

// A browser opens six connections to one address at most: a tab that nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (stream) stream.close();
  } else connect();
});

const waiting = [];

function draw() {
  for (const p of state.phones) if (!phones.has(p.name)) addPhone(p);
  for (const [name, phone] of phones) {
    if (!state.phones.some((p) => p.name === name)) {
      phone.node.remove();
      phone.tab.remove();
      phones.delete(name);
    }
  }
  if (!phones.has(shownPhone)) show(state.phones[0].name, false);
  place();
  const [time, day] = [state.clock.split(", ").pop(), state.clock.split(", ")[0]];
  at("time").textContent = time.padStart(5, "0");
  at("day").textContent = day;
  at("clock").classList.toggle("runs", state.running);
  for (const button of document.querySelectorAll("[data-to]")) button.disabled = state.running;
  at("add").disabled = !state.can_add;
  for (const p of state.phones) drawPhone(p);
  drawScene();
  drawBack();
}

function place() {
  for (const line of waiting.splice(0)) {
    const phone = phones.get(line.who);
    if (phone) addLine(phone, line);
  }
}

// --- phones ---

function addPhone(p) {
  const sms = p.channel === "sms";
  const list = el("ol", { class: "messages", tabindex: "0", "aria-label": fill(words.phone.of, p) });
  const input = el("textarea", {
    rows: "1",
    "aria-label": fill(words.phone.write, p),
    placeholder: words.phone.placeholder,
    enterkeyhint: "send",
    autocomplete: "off",
    spellcheck: "false",
  });
  const quoted = el("span");
  const reply = el(
    "div",
    { class: "replying", hidden: true },
    quoted,
    el("button", { type: "button", "aria-label": words.phone.no_reply, onclick: () => setReply(phone, null) }, "×"),
  );
  const attach = (kind) =>
    el(
      "button",
      { type: "button", class: "attach", "aria-label": words.phone[kind], title: words.phone[kind], onclick: () => send(phone, "", { kind }) },
      icon(ICONS[kind]),
    );
  const form = el(
    "form",
    { class: "composer" },
    reply,
    input,
    sms ? null : attach("photo"),
    sms ? null : attach("voice"),
    el("button", { class: "send", "aria-label": words.phone.send, title: words.phone.send }, icon(ICONS.send)),
  );
  const total = el("p", { class: "total" });
  const hints = el("div", { class: "hints" });
  const clock = el("span", { class: "phone-time" });
  const screen = sms
    ? [
        el("div", { class: "earpiece", "aria-hidden": "true" }),
        el(
          "div",
          { class: "lcd" },
          el("p", { class: "bar" }, el("span", { class: "signal", "aria-hidden": "true" }), words.phone.sms_list, clock),
          list,
          hints,
          total,
        ),
        form,
        keys(input),
      ]
    : [
        el(
          "div",
          { class: "chat" },
          el(
            "p",
            { class: "bar" },
            el("span", { class: "avatar", "aria-hidden": "true" }, icon(ICONS.home)),
            el("span", { class: "bot-name" }, words.phone.bot),
            clock,
          ),
          list,
          hints,
          form,
        ),
      ];
  const unknown = p.role === "stranger";
  const title = el(
    "header",
    {},
    el("h3", {}, p.name),
    el("p", {}, `${unknown ? words.phone.unknown : words.role[p.role]} · ${words.channel[p.channel]}`),
  );
  const node = el("article", { class: `phone ${p.channel} ${p.role}`, "aria-label": fill(words.phone.of, p) }, title, el("div", { class: "body" }, ...screen));
  const badge = el("span", { class: "badge", hidden: true });
  const tab = el("button", { type: "button", onclick: () => show(p.name) }, p.name, badge);
  const phone = { name: p.name, sms, node, list, input, form, reply, quoted, total, hints, clock, tab, badge, day: "", low: true, unread: 0, about: 0, rows: new Map(), typed: "" };
  phones.set(p.name, phone);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(phone);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit(phone);
    }
    if (event.key === "Escape") setReply(phone, null);
  });
  input.addEventListener("input", () => grow(input));
  const next = state.phones.slice(state.phones.findIndex((one) => one.name === p.name) + 1).find((one) => phones.has(one.name));
  at("phones").insertBefore(node, next ? phones.get(next.name).node : null);
  at("tabs").insertBefore(tab, next ? phones.get(next.name).tab : null);
  list.addEventListener("scroll", () => (phone.low = list.scrollHeight - list.scrollTop - list.clientHeight < 60), { passive: true });
  new ResizeObserver(() => phone.low && (list.scrollTop = list.scrollHeight)).observe(list);
  watch.observe(node);
  empty(phone);
  if (unknown) show(p.name);
}

function keys(input) {
  const pad = el("div", { class: "keys", "aria-hidden": "true" });
  const letters = ["", "abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz", "", "", ""];
  [..."123456789*0#"].forEach((key, i) => {
    const press = () => {
      input.value += key;
      grow(input);
    };
    pad.append(el("button", { type: "button", tabindex: "-1", onclick: press }, el("b", {}, key), el("i", {}, letters[i])));
  });
  return pad;
}

function grow(input) {
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight + 2, 110)}px`;
  input.form.classList.toggle("has-words", input.value !== "");
}

function empty(phone) {
  phone.list.replaceChildren();
  phone.rows.clear();
  phone.day = "";
  phone.low = true;
  count(phone, 0);
  setReply(phone, null);
  const tips = words.suggest[phone.name] ?? [];
  phone.hints.replaceChildren(
    el("p", {}, words.phone.try),
    ...tips.map((tip) => el("button", { type: "button", onclick: () => send(phone, tip) }, tip)),
  );
  phone.hints.hidden = false;
}

function drawPhone(p) {
  const phone = phones.get(p.name);
  const dead = new Set(state.dead);
  for (const [row, buttons] of phone.rows) for (const button of buttons) button.disabled = dead.has(row);
  phone.clock.textContent = at("time").textContent;
  if (phone.sms) {
    const price = euro(p.segments * state.euro_per_segment);
    phone.total.textContent = fill(words.phone.total, { segments: p.segments, price });
  }
}

function addLine(phone, line) {
  if (line.day !== phone.day) {
    phone.day = line.day;
    phone.list.append(el("li", { class: "day" }, el("span", {}, line.day)));
  }
  phone.hints.hidden = true;
  const bubble = el("div", { class: "bubble", dir: "auto" });
  if (line.reply) bubble.append(el("p", { class: "quote", dir: "auto" }, line.reply.slice(0, 80)));
  if (!line.bot && line.kind !== "text") bubble.append(attachment(line.kind));
  else bubble.append(...said(line.text));
  if (line.kind === "copy") bubble.append(el("p", { class: "pill" }, words.phone.copy));
  const foot = [line.time];
  if (line.segments) foot.push(fill(words.phone.cost, { segments: line.segments, price: euro(line.segments * state.euro_per_segment) }));
  bubble.append(el("p", { class: "foot" }, foot.join(" · ")));
  const item = el("li", { class: line.bot ? "in" : "out" }, bubble);
  if (line.bot && line.buttons.length) {
    const buttons = line.buttons.map(([label, data]) =>
      el("button", { type: "button", class: "choice", onclick: () => send(phone, "", { button: data }) }, label),
    );
    phone.rows.set(line.row, buttons);
    item.append(el("div", { class: "choices" }, ...buttons));
  }
  if (line.bot && !phone.sms) {
    bubble.append(
      el("button", { type: "button", class: "answer", "aria-label": words.phone.reply, title: words.phone.reply, onclick: () => setReply(phone, line) }, icon(ICONS.reply)),
    );
  }
  phone.list.append(item);
  if (phone.low || !line.bot) phone.list.scrollTop = phone.list.scrollHeight;
  if (line.bot) {
    at("live").textContent = fill(words.phone.arrived, { name: phone.name, text: line.text.slice(0, 200) });
    if (narrow.matches && phone.name !== shownPhone) count(phone, phone.unread + 1);
    else pulse(phone);
  }
}

function said(text) {
  if (text.length <= LONG) return [el("p", { class: "said" }, text)];
  const whole = el("p", { class: "said long" }, text);
  const more = el("button", { type: "button", class: "more" }, words.phone.whole);
  more.addEventListener("click", () => {
    whole.classList.remove("long");
    more.remove();
  });
  return [whole, more];
}

function attachment(kind) {
  const label = words.phone[`is_${kind}`] ?? words.phone.is_other;
  const wave = kind === "voice" ? el("span", { class: "wave", "aria-hidden": "true" }, ...[6, 13, 9, 17, 11, 8].map(bar)) : null;
  return el("p", { class: `attached ${kind}` }, icon(ICONS[kind] ?? ICONS.photo), wave, label);
}

function bar(height) {
  const one = el("i");
  one.style.height = `${height}px`;
  return one;
}

function pulse(phone) {
  phone.node.classList.remove("new");
  void phone.node.offsetWidth; // restarts the animation
  phone.node.classList.add("new");
}

function count(phone, unread) {
  phone.unread = unread;
  phone.badge.hidden = !unread;
  phone.badge.textContent = unread;
}

function setReply(phone, line) {
  phone.about = line ? line.row : 0;
  phone.reply.hidden = !line;
  phone.quoted.textContent = line ? `${words.phone.replying}: ${line.text.slice(0, 60)}` : "";
  if (line) phone.input.focus();
}

async function submit(phone) {
  const text = phone.input.value;
  if (!text.trim()) return;
  const about = phone.about;
  phone.input.value = "";
  grow(phone.input);
  setReply(phone, null);
  if (!(await send(phone, text, about ? { reply_to: about } : {}))) {
    phone.input.value = text;
    grow(phone.input);
  }
}

function send(phone, text, more = {}) {
  return ask("write", { who: phone.name, text, ...more });
}

// --- one phone at a time on a small screen ---

function show(name, scroll = true) {
  shownPhone = name;
  for (const phone of phones.values()) phone.tab.setAttribute("aria-pressed", phone.name === name ? "true" : "false");
  const phone = phones.get(name);
  if (!phone) return;
  count(phone, 0);
  if (!narrow.matches) return;
  at("tabs").scrollTo({ left: phone.tab.offsetLeft - at("tabs").clientWidth / 2 + phone.tab.clientWidth / 2 });
  if (scroll) at("phones").scrollTo({ left: phone.node.offsetLeft - at("phones").offsetLeft, behavior: calm.matches ? "auto" : "smooth" });
}

const watch = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || !narrow.matches) continue;
      const phone = [...phones.values()].find((p) => p.node === entry.target);
      if (phone && phone.name !== shownPhone) show(phone.name, false);
    }
  },
  { root: at("phones"), threshold: 0.7 },
);

// --- scenes ---

for (const scene of words.scenes) {
  at("scenes").append(
    el("button", { type: "button", "data-scene": scene.name, onclick: () => play(scene.name) }, el("b", {}, scene.title), el("span", {}, scene.about)),
  );
}

async function play(name) {
  if (await ask("scene", { name })) {
    document.querySelector("main").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
  }
}

let typing = 0;
function drawScene() {
  const scene = state.scene;
  at("caption").hidden = !scene.name;
  const known = words.scenes.find((s) => s.name === scene.name);
  at("caption-title").textContent = known ? known.title : "";
  if (at("caption-text").textContent !== scene.caption) at("caption-text").textContent = scene.caption;
  at("again").hidden = !scene.done;
  at("stop").textContent = scene.done ? "×" : words.page.stop;
  at("stop").setAttribute("aria-label", words.page.stop);
  for (const chip of document.querySelectorAll("[data-scene]")) chip.setAttribute("aria-pressed", String(chip.dataset.scene === scene.name && !scene.done));
  for (const phone of phones.values()) {
    phone.node.classList.toggle("acts", phone.name === scene.who && !scene.done);
    if (phone.typed && (phone.name !== scene.who || phone.typed !== scene.typing)) {
      if (phone.input.value === phone.typed.slice(0, phone.input.value.length)) phone.input.value = "";
      phone.typed = "";
      grow(phone.input);
    }
  }
  const phone = phones.get(scene.who);
  if (!phone) return;
  if (narrow.matches && scene.who !== shownPhone) show(scene.who);
  if (scene.typing && phone.typed !== scene.typing) {
    phone.typed = scene.typing;
    type(phone, scene.typing);
  }
}

function type(phone, text) {
  clearInterval(typing);
  if (calm.matches) {
    phone.input.value = text;
    return grow(phone.input);
  }
  let n = 0;
  typing = setInterval(() => {
    n += 1;
    if (phone.typed !== text || n > text.length) return clearInterval(typing);
    phone.input.value = text.slice(0, n);
    phone.input.scrollTop = phone.input.scrollHeight;
    grow(phone.input);
  }, 40);
}

at("stop").addEventListener("click", () => ask("stop"));
at("again").addEventListener("click", () => play(state.scene.name));
at("add").addEventListener("click", () => ask("phone"));
at("reset").addEventListener("click", () => ask("reset"));
for (const button of document.querySelectorAll("[data-to]")) {
  button.addEventListener("click", () => ask("clock", { to: button.dataset.to }));
}

// --- behind the scenes ---

function drawBack() {
  const back = words.back;
  const open = state.cases.filter((c) => c.state !== "closed");
  at("matters-count").textContent = open.length || "";
  at("matters").replaceChildren(...(state.cases.length ? state.cases.map(matter) : [el("li", { class: "none" }, back.no_matters)]));
  if (state.more_cases) at("matters").append(el("li", { class: "none" }, fill(back.more, { count: state.more_cases })));
  at("outbox-count").textContent = state.waiting ? fill(back.waiting, { count: state.waiting }) : "";
  at("outbox").replaceChildren(...(state.outbox.length ? state.outbox.map(outgoing) : [el("li", { class: "none" }, back.no_outbox)]));
  at("known").replaceChildren(...state.people.map(person));
}

function matter(c) {
  const back = words.back;
  const closed = c.state === "closed";
  const holder = closed ? back.done : c.claimed_by ? fill(back.with, { name: c.claimed_by }) : back.nobody_yet;
  const rung = Math.min(c.rung, c.state === "claimed" ? 1 : 2);
  const steps = c.state === "claimed" ? 2 : 3;
  const next = c.due ? fill(back.due, { what: words.step[`${c.state}_${rung}`], due: c.due }) : back.settled;
  return el(
    "li",
    { class: `matter ${c.kind} ${c.state}` },
    el("span", { class: "number" }, c.number),
    el(
      "div",
      {},
      el("p", { class: "row" }, el("b", { dir: "auto" }, c.who || back.nobody), el("span", { class: `tag ${c.kind}` }, words.kind[c.kind] ?? c.kind), el("span", { class: closed || c.claimed_by ? "tag good" : "tag open" }, holder)),
      c.words ? el("p", { class: "words", dir: "auto" }, `“${short(c.words)}”`) : null,
      c.nameless ? el("p", { class: "small" }, back.nameless) : null,
      closed ? null : el("p", { class: "ladder" }, el("span", { class: "rungs", "aria-hidden": "true" }, ...Array.from({ length: steps }, (_, i) => el("i", { class: i < rung ? "past" : i === rung ? "next" : "" }))), next),
    ),
  );
}

function outgoing(o) {
  const cost = o.segments ? ` · ${o.segments} sms` : "";
  return el(
    "li",
    { class: `outgoing ${o.state} ${o.urgency}` },
    el("p", { class: "row" }, el("b", { dir: "auto" }, fill(words.back.to, { name: o.who || words.back.nobody })), el("span", { class: "small" }, `${words.channel[o.channel] ?? o.channel}${cost}`), el("span", { class: `tag ${o.state === "sent" ? "good" : "open"}` }, words.state[o.state] ?? o.state)),
    el("p", { class: "words", dir: "auto" }, short(o.text)),
    el("p", { class: "small" }, o.at),
  );
}

function person(p) {
  const back = words.back;
  const tags = [
    p.joined ? null : ["open", back.not_joined],
    p.role === "resident" && p.joined ? (p.known ? ["good", back.vouched] : ["open", back.not_vouched]) : null,
    p.stopped ? ["bad", back.stopped] : null,
    p.paused ? ["open", fill(back.paused, { until: p.paused })] : null,
    p.role === "resident" && p.joined && !Object.keys(p.consents).length ? ["", back.no_consent] : null,
    p.role === "resident" ? ["", p.form === "je" ? back.says_je : back.says_u] : null,
  ].filter(Boolean);
  const consents = Object.entries(p.consents);
  const street = p.street || (p.role === "coordinator" ? "" : back.no_street);
  return el(
    "li",
    { class: "person" },
    el("p", { class: "row" }, el("b", { dir: "auto" }, p.name || back.no_name), el("span", { class: "small" }, [words.role[p.role], street, p.channels.map((c) => words.channel[c]).join(" + ")].filter(Boolean).join(" · "))),
    el("p", { class: "tags" }, ...tags.map(([kind, text]) => el("span", { class: `tag ${kind}` }, text)), ...consents.map(([kind, given]) => el("span", { class: `tag ${given ? "good" : "bad"}` }, `${given ? "✓" : "✗"} ${words.consent[kind] ?? kind}`))),
    p.talk ? el("p", { class: "small" }, fill(back.talk, { talk: p.talk })) : null,
    ...p.offers.map((o) => el("p", { class: "small", dir: "auto" }, fill(back.offers, { words: short(o) }))),
  );
}

const short = (text) => (text.length > 140 ? `${text.slice(0, 140)}…` : text);

connect();
