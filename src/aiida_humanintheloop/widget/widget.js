// The inbox in a notebook: what waits for a person, a form for each, the verdict.
//
// Text that comes from a person becomes text nodes only: nothing here reads HTML.

const TICK_MS = 1000;
const FILTER_FROM = 11;
const RADIOS_UP_TO = 8;
const FOCUS_WAITS_MS = 5000;
const SAY_AGAIN_MS = 1000; // and then after twice as long, and so on
const SAY_AT_LEAST_MS = 60_000; // that it is shown: a page that was closed says nothing
const NO_REPLY_MS = 40_000; // the kernel itself gives up before
const NO_REPLY = "No reply: if the kernel was restarted, run the cell again.";
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i;
const FOCUSABLE = new Set(["button", "input", "select", "summary", "textarea"]);
let made = 0;

export default {
  render({ model, el }) {
    const inbox = new InboxView(model, el);
    return () => inbox.close();
  },
};

// region elements

// An element with properties, and children that are elements or text.
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  if (FOCUSABLE.has(tag) || "tabIndex" in properties) {
    // JupyterLab looks for it on what has the focus: or D, D would delete the cell.
    element.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function newId() {
  made += 1;
  return `hitl-${made}`;
}

function table(columns, rows, caption) {
  const used = columns
    .map((_, index) => index)
    .filter((index) => rows.some((row) => row[index] !== ""));
  const head = used.map((index) => h("th", { scope: "col" }, columns[index]));
  const body = rows.map((row) =>
    h("tr", {}, ...used.map((index) => h("td", {}, inWords(row[index])))),
  );
  return h(
    "div",
    { className: "hitl-scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body)),
  );
}

function age(since) {
  return duration(Math.max(0, (Date.now() - Date.parse(since)) / 1000));
}

function duration(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function moment(iso) {
  return new Date(iso).toLocaleString();
}

// A time as the reader's own clock shows it; all else as it is.
function inWords(text) {
  return /^\d{4}-\d\d-\d\dT[\d:]+\+00:00$/.test(text) ? moment(text) : text;
}

function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// Say something at once, and again and again until the returned function is called.
//
// What is said before JupyterLab has a subshell for it waits behind the cells that run.
function insist(say) {
  let wait = SAY_AGAIN_MS;
  let timer;
  const sayAgain = () => {
    say();
    timer = setTimeout(sayAgain, wait);
    wait = Math.min(2 * wait, SAY_AT_LEAST_MS);
  };
  sayAgain();
  return () => clearTimeout(timer);
}

// endregion
// region forms
//
// A field is {element, read(), focus()}: `read` returns what the person said, which the
// workflow judges; nothing is judged here, or two judges could differ.

function lineField({ value, numeric, unit, described, label }) {
  const input = h("input", {
    type: "text",
    className: "hitl-input",
    value: value ?? "",
    inputMode: numeric ? "decimal" : "text",
    autocomplete: "off",
    spellcheck: !numeric,
    "aria-describedby": described,
    "aria-label": label,
  });
  const element = unit
    ? h("span", { className: "hitl-with-unit" }, input, h("span", {}, unit))
    : input;
  return { element, read: () => input.value, focus: () => input.focus() };
}

function textField({ value, described, label, rows = 3, mono }) {
  const area = h("textarea", {
    className: mono ? "hitl-input hitl-mono" : "hitl-input",
    rows,
    value: value ?? "",
    spellcheck: !mono,
    "aria-describedby": described,
    "aria-label": label,
  });
  return { element: area, read: () => area.value, focus: () => area.focus() };
}

// options: [{value, text, note}]; several: checkboxes in place of radio buttons.
function optionsField({ options, chosen = [], several, described, label }) {
  const name = newId();
  const isChosen = (value) =>
    chosen.some((other) => JSON.stringify(other) === JSON.stringify(value));
  if (!several && options.length > RADIOS_UP_TO) {
    return selectField({ options, isChosen, described, label });
  }
  const inputs = options.map((option) =>
    h("input", {
      type: several ? "checkbox" : "radio",
      name,
      checked: isChosen(option.value),
    }),
  );
  const lines = options.map((option, index) =>
    h(
      "label",
      { className: "hitl-option" },
      inputs[index],
      h("span", {}, option.text),
      option.note ? h("span", { className: "hitl-dim" }, option.note) : null,
    ),
  );
  const read = () => {
    const values = options.filter((_, i) => inputs[i].checked).map((o) => o.value);
    return several ? values : (values[0] ?? null);
  };
  const element = h(
    "div",
    {
      role: several ? "group" : "radiogroup",
      "aria-label": label,
      "aria-describedby": described,
    },
    ...lines,
  );
  return { element, read, focus: () => inputs[0].focus() };
}

function selectField({ options, isChosen, described, label }) {
  const select = h(
    "select",
    { className: "hitl-input", "aria-describedby": described, "aria-label": label },
    h("option", { value: "" }, "choose one"),
    ...options.map((option, index) =>
      h(
        "option",
        { value: String(index), selected: isChosen(option.value) },
        option.note ? `${option.text}  ${option.note}` : option.text,
      ),
    ),
  );
  const read = () => (select.value === "" ? null : options[select.value].value);
  return { element: select, read, focus: () => select.focus() };
}

function booleanField(said) {
  const options = [
    { value: true, text: "Yes" },
    { value: false, text: "No" },
  ];
  return optionsField({ ...said, options });
}

function nodeField(said, kind, nodes) {
  const options = nodes.map((node) => ({
    value: node.uuid,
    text: node.title,
    note: node.description,
  }));
  if (kind.among?.length) return optionsField({ ...said, options });
  const id = newId();
  const field = lineField(said);
  field.element.setAttribute("list", id);
  field.element.placeholder = "PK or UUID";
  const offered = nodes.map((node) => h("option", { value: node.uuid }, node.title));
  field.element = h("span", {}, field.element, h("datalist", { id }, ...offered));
  return field;
}

// region a form for a JSON Schema

function resolved(schema, root) {
  let found = schema;
  for (let depth = 0; found?.$ref?.startsWith("#/") && depth < 20; depth += 1) {
    const { $ref, ...beside } = found;
    const path = $ref.slice(2).split("/");
    found = { ...path.reduce((at, name) => at?.[name], root), ...beside };
  }
  const real = found?.anyOf?.filter((each) => each.type !== "null");
  if (real?.length === 1) {
    const { anyOf, ...rest } = found;
    return { ...resolved(real[0], root), ...rest, nullable: real.length < anyOf.length };
  }
  return found ?? {};
}

// Whether `schemaField` has something better for it than JSON in a box.
function hasForm(schema, root, depth = 0) {
  const { type, properties, enum: options } = resolved(schema, root);
  if (options) return true;
  if (type === "object") {
    const parts = Object.values(properties ?? {});
    return parts.length > 0 && depth < 4;
  }
  return ["string", "integer", "number", "boolean"].includes(type);
}

// `read` returns a value as JSON has them, null where nothing was said.
function schemaField(given, root, value, label, depth = 0, needed = true) {
  const schema = resolved(given, root);
  const start = value ?? schema.default;
  if (schema.enum) {
    const options = schema.enum.map((each) => ({ value: each, text: asText(each) }));
    return optionsField({ options, chosen: [start], label });
  }
  if (!hasForm(schema, root, depth)) return jsonField(start, label);
  if (schema.type === "object") {
    return objectField(schema, root, start, label, depth, needed);
  }
  if (schema.type === "boolean") return booleanField({ chosen: [start], label });
  const field = lineField({ value: start, numeric: schema.type !== "string", label });
  const read = () => {
    const typed = field.read();
    if (typed.trim() === "") return null;
    return schema.type === "string" ? typed : numberIn(typed.trim());
  };
  return { ...field, read };
}

// The number that was typed; the text where there is none, or JavaScript would round it.
function numberIn(typed) {
  const number = Number(typed);
  const isKept = !Number.isInteger(number) || Number.isSafeInteger(number);
  return JSON_NUMBER.test(typed) && Number.isFinite(number) && isKept ? number : typed;
}

function objectField(schema, root, value, label, depth, needed) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(([name, part]) => {
    const about = resolved(part, root);
    const title = part.title ?? name; // not that of what a $ref leads to
    const isNeeded = required.has(name);
    const field = schemaField(part, root, value?.[name], title, depth + 1, isNeeded);
    const mark = isNeeded ? "" : " (optional)";
    const line = h(
      "div",
      { className: "hitl-part" },
      h("div", {}, `${title}${mark}`),
      about.description
        ? h("div", { className: "hitl-dim" }, about.description)
        : null,
      field.element,
    );
    return { name, line, field, saysNull: isNeeded && about.nullable };
  });
  const filled = () => {
    const said = {};
    for (const { name, field, saysNull } of fields) {
      const part = field.read();
      if (part !== null || saysNull) said[name] = part;
    }
    return said;
  };
  const untouched = JSON.stringify(filled());
  const read = () => {
    const said = filled();
    const isLeft = JSON.stringify(said) === untouched && !value;
    return isLeft && !needed ? null : said;
  };
  const element = h(
    "div",
    { className: depth ? "hitl-nested" : "", role: "group", "aria-label": label },
    ...fields.map(({ line }) => line),
  );
  return { element, read, focus: () => fields[0].field.focus() };
}

function rawField(value, label) {
  const isNothing = value === undefined || value === null;
  const text = isNothing ? "" : JSON.stringify(value, null, 2);
  return textField({ value: text, label, rows: 5, mono: true });
}

// A part for which there is no form. What is no JSON is sent as it is, and refused.
function jsonField(value, label) {
  const field = rawField(value, label);
  return { ...field, read: () => (field.read().trim() ? parsed(field.read()) : null) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// The form, and beside it the same as JSON for whoever prefers to paste. What is read is
// JSON text: Python keeps the long numbers in it, and a word that looks like a number.
function jsonSchemaField(kind, value, label) {
  const schema = kind.described_by;
  const raw = (start) => rawField(start, label);
  const form = (start) => {
    const field = schemaField(schema, schema, start, label);
    const read = () => (field.read() === null ? "" : JSON.stringify(field.read()));
    return { ...field, read };
  };
  if (!hasForm(schema, schema)) return raw(value);
  let field = form(value);
  const place = h("div", {}, field.element);
  let isRaw = false;
  const other = h("button", { type: "button", className: "hitl-link" }, "Edit as JSON");
  other.addEventListener("click", () => {
    const said = field.read().trim();
    isRaw = !isRaw;
    field = (isRaw ? raw : form)(said ? parsed(said) : undefined);
    place.replaceChildren(field.element);
    other.textContent = isRaw ? "Edit as a form" : "Edit as JSON";
    field.focus();
  });
  const element = h("div", {}, place, other);
  return { element, read: () => field.read(), focus: () => field.focus() };
}

// endregion

// offered: {options, chosen, nodes}; an option is read as its position, as JavaScript
// does not tell 1.0 from 1.
function fieldFor(question, offered, described) {
  const { kind } = question;
  const label = question.text;
  const value = question.default;
  const said = { value, described, label };
  const options = offered.options.map((text, index) => ({ value: index, text }));
  const { chosen } = offered;
  switch (kind.kind) {
    case "integer":
    case "float":
      return lineField({ ...said, numeric: true, unit: kind.unit });
    case "boolean":
      return booleanField({ ...said, chosen: [value] });
    case "choice":
      return optionsField({ ...said, options, chosen });
    case "choices":
      return optionsField({ ...said, options, chosen, several: true });
    case "node":
      return nodeField({ ...said, chosen: [value] }, kind, offered.nodes);
    case "json":
      return jsonSchemaField(kind, value, label);
    default:
      return kind.max_length && kind.max_length <= 80
        ? lineField(said)
        : textField(said);
  }
}

// endregion
// region evidence

// A drawing can have a program in it, which the address of a blob would let run as a
// page of JupyterLab, once somebody opens the image in a tab of its own.
function addressOf(buffer, mime, urls) {
  if (mime === "image/svg+xml") {
    return `data:${mime},${encodeURIComponent(new TextDecoder().decode(buffer))}`;
  }
  urls.push(URL.createObjectURL(new Blob([buffer], { type: mime })));
  return urls.at(-1);
}

function evidenceView(record, buffers, urls) {
  const parts = [];
  if (record.buffer !== undefined) {
    const src = addressOf(buffers[record.buffer], record.mime, urls);
    parts.push(h("img", { src, alt: record.says ?? record.title }));
  }
  if (record.text) parts.push(h("pre", { tabIndex: 0 }, record.text));
  if (record.rows) parts.push(table(record.columns, record.rows, record.title));
  if (record.note) parts.push(h("p", { className: "hitl-dim" }, record.note));
  const code = `load_node("${record.uuid}")`;
  const copy = h("button", { type: "button", className: "hitl-link" }, `Copy ${code}`);
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code);
      copy.textContent = "Copied";
    } catch {
      copy.replaceWith(h("code", {}, code)); // where the page has no clipboard
    }
  });
  return h(
    "details",
    { className: "hitl-evidence", open: true },
    h("summary", {}, record.title),
    ...parts,
    copy,
  );
}

// endregion
// region one thing that waits

class Item {
  constructor(row, inbox) {
    this.row = row;
    this.inbox = inbox;
    this.urls = [];
    this.asks = row.id !== null;
    this.since = h("span", {});
    const panelId = newId();
    this.button = h(
      "button",
      {
        type: "button",
        className: "hitl-head",
        "aria-expanded": "false",
        "aria-controls": panelId,
        onclick: () => this.toggle(),
      },
      h("span", { className: "hitl-question" }, this.title()),
      h("span", { className: "hitl-dim" }, `${this.about()} · waiting for `, this.since),
    );
    this.panel = h("div", { className: "hitl-panel", id: panelId, hidden: true });
    this.verdict = h("p", { className: "hitl-verdict", role: "status" });
    this.element = h("li", { className: "hitl-item" }, this.button, this.panel);
    this.element.dataset.key = row.key;
    this.tick();
  }

  title() {
    return this.row.name ? `${this.row.name}: ${this.row.text}` : this.row.text;
  }

  about() {
    const { workflow, pk, caller, assignees = [] } = this.row;
    const parts = [`${workflow} <${pk}>`];
    if (caller) parts.push(`called by ${caller}`);
    if (assignees.length) parts.push(`for ${assignees.join(", ")}`);
    return parts.join(" · ");
  }

  words() {
    return `${this.title()} ${this.about()}`.toLowerCase();
  }

  tick() {
    this.since.textContent = age(this.row.since);
    if (this.left) {
      const seconds = Math.round((Date.parse(this.row.deadline) - Date.now()) / 1000);
      this.left.textContent = seconds > 0 ? ` (in ${duration(seconds)})` : "";
    }
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  toggle() {
    if (this.isOpen) this.fold();
    else this.unfold(true);
  }

  fold() {
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }

  unfold(focuses) {
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.focuses = focuses;
    if (!this.asks) {
      this.panel.replaceChildren(h("p", {}, "It does not ask: it was paused."));
    } else if (this.field) {
      if (focuses) this.field.focus();
    } else {
      this.panel.replaceChildren(h("p", { className: "hitl-dim" }, "Fetching it…"));
      const { key, pk, id } = this.row;
      this.stopAsking?.();
      this.stopAsking = insist(() => this.inbox.model.send({ type: "open", key, pk, id }));
      this.expectReply((error) => this.fill({ error }));
    }
  }

  // A message to a kernel that has been restarted is lost without a word.
  expectReply(otherwise) {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => otherwise(NO_REPLY), NO_REPLY_MS);
  }

  // What was fetched: the question in full, with its evidence.
  fill(content, buffers) {
    if (this.field) return;
    clearTimeout(this.patience);
    this.stopAsking?.();
    if (content.error) {
      this.panel.replaceChildren(h("p", { role: "alert" }, content.error));
      return;
    }
    const { question, expects, deadline } = content.question;
    const hint = newId();
    this.field = fieldFor(question, content.offered, hint);
    this.comment = lineField({ label: "Comment" });
    this.send = h("button", { type: "submit", className: "hitl-send" }, "Answer");
    const form = h(
      "form",
      { noValidate: true },
      this.field.element,
      h("p", { className: "hitl-dim", id: hint }, `It must be ${expects}.`),
      h(
        "label",
        { className: "hitl-comment" },
        "Comment, kept on record ",
        this.comment.element,
      ),
      this.send,
      this.verdict,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.answer();
    });
    form.addEventListener("keydown", (event) => this.pressed(event));
    this.panel.replaceChildren(
      ...this.heading(question, deadline),
      ...content.evidence.map((record) => evidenceView(record, buffers, this.urls)),
      form,
    );
    this.tick();
    if (this.focuses && this.inbox.mayFocus(this)) this.field.focus();
  }

  // JupyterLab keeps Enter from sending a form by itself.
  pressed(event) {
    const isLine = event.target.matches("input:not([type=checkbox])");
    if (event.isComposing) return; // it ends a word of Chinese or Japanese
    if (event.key !== "Enter" || !(isLine || event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!event.repeat) this.answer(); // held down, it would answer the next question
  }

  heading(question, deadline) {
    const parts = [];
    if (question.text.length > this.row.text.length || question.text.includes("\n")) {
      parts.push(h("p", { className: "hitl-in-full" }, question.text));
    }
    if (question.help) parts.push(h("p", { className: "hitl-in-full" }, question.help));
    if (deadline) {
      const then = { wait: "it goes on waiting", default: "the default is taken" };
      const what = then[question.at_deadline] ?? `it ends with ${question.at_deadline}`;
      this.left = h("span", {});
      parts.push(h("p", {}, `Until ${moment(deadline)}`, this.left, `, then ${what}.`));
    }
    return parts;
  }

  answer() {
    if (this.isSending) return;
    this.isBusy(true);
    this.inbox.say("");
    this.say("Sending…", "");
    const { key, pk, id } = this.row;
    const [value, comment] = [this.field.read(), this.comment.read().trim()];
    this.inbox.model.send({ type: "answer", key, pk, id, value, comment });
    this.expectReply((error) => this.hear({ error }));
  }

  // Not `disabled`, which would take the focus from the button.
  isBusy(isSending) {
    this.isSending = isSending;
    this.send.setAttribute("aria-disabled", String(isSending));
  }

  hear({ verdict, error, said }) {
    clearTimeout(this.patience);
    const isAccepted = verdict?.outcome === "accepted";
    this.isBusy(isAccepted);
    if (isAccepted) {
      this.say(`Accepted: ${said}`, "accepted");
    } else {
      this.say(error ?? verdict.reason, verdict?.outcome ?? "refused");
      if (this.element.contains(document.activeElement)) this.field.focus();
    }
  }

  say(text, outcome) {
    this.verdict.textContent = text;
    this.verdict.dataset.outcome = outcome;
  }

  close() {
    clearTimeout(this.patience);
    this.stopAsking?.();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.element.remove();
  }
}

// endregion
// region the inbox

class InboxView {
  constructor(model, el) {
    this.model = model;
    this.page = crypto.randomUUID?.() ?? String(Math.random());
    this.items = new Map();
    this.said = "";
    this.build(el);
    const shows = {
      "change:questions": () => this.showQuestions(),
      "change:closed": () => this.showClosed(),
      "change:trouble": () => this.showTrouble(),
      "change:ended": () => this.showEnd(),
      "change:history change:decisions": () => this.showPast(),
      "msg:custom": (content, buffers) => this.hear(content, buffers),
    };
    this.listeners = Object.entries(shows);
    for (const [event, does] of this.listeners) model.on(event, does);
    this.showTrouble();
    this.showQuestions();
    this.showClosed();
    this.showPast();
    this.showEnd();
    this.ticks = setInterval(() => this.tick(), TICK_MS);
    this.stopSaying = insist(() => model.send({ type: "shown", page: this.page }));
  }

  build(el) {
    const only = this.model.get("only");
    this.count = h("p", { className: "hitl-count", role: "status", tabIndex: -1 });
    this.trouble = h("p", { className: "hitl-trouble", role: "alert" });
    this.filter = h("input", {
      type: "search",
      className: "hitl-input",
      placeholder: "Filter by words",
      "aria-label": "Filter what waits",
      oninput: () => this.sift(),
    });
    this.list = h("ul", { className: "hitl-list" });
    this.end = h("div", { className: "hitl-end", role: "status" });
    this.closed = h("div", { className: "hitl-closed", role: "log" });
    this.past = h("div", {});
    this.root = h(
      "section",
      {
        className: "hitl-inbox",
        "aria-label": only === null ? "Inbox" : `Inbox of workflow ${only}`,
      },
      this.count,
      this.trouble,
      this.filter,
      this.list,
      this.end,
      this.closed,
      this.past,
    );
    el.append(this.root);
  }

  close() {
    for (const [event, does] of this.listeners) this.model.off(event, does);
    clearInterval(this.ticks);
    this.stopSaying();
    this.model.send({ type: "hidden", page: this.page });
    for (const item of this.items.values()) item.close();
  }

  tick() {
    for (const item of this.items.values()) item.tick();
  }

  hear(content, buffers) {
    const item = this.items.get(content.key);
    if (content.type === "question") item?.fill(content, buffers);
    if (content.type !== "verdict") return;
    // The question may be gone already, and its form with it.
    if (content.verdict?.outcome === "accepted") this.say(`Accepted: ${content.said}.`);
    else if (!item?.field) this.say(content.error ?? content.verdict.reason);
    if (item?.field) item.hear(content);
  }

  say(text) {
    this.said = text;
    this.showCount();
  }

  showQuestions() {
    const rows = this.model.get("questions");
    const wanted = new Set(rows.map((row) => row.key));
    const isFirst = this.items.size === 0;
    const hadFocus = this.list.contains(document.activeElement);
    const gone = [...this.items].filter(([key]) => !wanted.has(key));
    const neighbour = this.neighbourOf(gone.map(([, item]) => item));
    for (const [key, item] of gone) this.remove(key, item);
    for (const row of rows) {
      if (this.items.has(row.key)) continue;
      const item = new Item(row, this);
      this.items.set(row.key, item);
      this.list.append(item.element);
      this.welcome(item, rows.length === 1 && isFirst, rows.length < FILTER_FROM);
    }
    if (hadFocus && !this.list.contains(document.activeElement)) {
      this.parked = neighbour?.button ?? this.count;
      this.parked.focus();
    }
    const many = rows.length >= FILTER_FROM;
    this.filter.hidden = !many;
    this.list.classList.toggle("hitl-many", many);
    this.showCount();
    this.sift();
  }

  // Where somebody goes on whose question is gone: the next that stays, or the one before.
  neighbourOf(gone) {
    const all = [...this.items.values()];
    const at = all.findIndex((item) => item.element.contains(document.activeElement));
    const stays = (item) => !gone.includes(item) && !item.element.hidden;
    return all.slice(at + 1).find(stays) ?? all.slice(0, Math.max(at, 0)).findLast(stays);
  }

  // Whoever types elsewhere meanwhile is left alone.
  mayFocus(item) {
    const now = document.activeElement;
    return [null, document.body, this.parked].includes(now) || item.element.contains(now);
  }

  showCount() {
    const count = this.model.get("questions").length;
    const waits = count === 1 ? "1 question waits." : `${count || "No"} questions wait.`;
    const parts = [this.said, this.model.get("ended") ? "" : waits];
    this.count.textContent = parts.filter(Boolean).join(" ");
  }

  // Unfold what the person surely wants: the only question, or the next of a talk.
  welcome(item, isOnly, areFew) {
    const follows = this.left?.pk === item.row.pk && Date.now() < this.left.until;
    if (!item.asks) return;
    if (follows) {
      item.unfold(this.left.focused && this.mayFocus(item));
      this.left = null;
    } else if (isOnly || (areFew && this.model.get("only") !== null)) {
      item.unfold(false);
    }
  }

  remove(key, item) {
    const focused = item.element.contains(document.activeElement);
    if (item.isOpen) {
      const until = Date.now() + FOCUS_WAITS_MS;
      this.left = { pk: item.row.pk, focused, until };
    }
    item.close();
    this.items.delete(key);
  }

  sift() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.filter.hidden ? [] : words;
    for (const item of this.items.values()) {
      const text = shown.length ? item.words() : "";
      item.element.hidden = !shown.every((word) => text.includes(word));
    }
  }

  showTrouble() {
    this.trouble.textContent = this.model.get("trouble");
    this.trouble.hidden = !this.trouble.textContent;
  }

  showClosed() {
    const only = this.model.get("only"); // of which the history says the same
    const closed = this.model.get("closed").filter((each) => each.pk !== only);
    const lines = closed.map((each) => {
      const { workflow, question, value, by, via } = each;
      const who = by ? ` by ${by}${via ? `, ${via}` : ""}` : "";
      return h("li", {}, `${workflow}: ${question} `, h("b", {}, value), who);
    });
    const heading = lines.length ? [h("h4", {}, "Just closed")] : [];
    this.closed.replaceChildren(...heading, h("ul", {}, ...lines));
  }

  showEnd() {
    const ended = this.model.get("ended");
    const outputs = this.model.get("outputs").map((text) => h("li", {}, text));
    this.end.replaceChildren(
      ...(ended ? [h("p", {}, ended), h("ul", {}, ...outputs)] : []),
    );
    this.showCount();
  }

  showPast() {
    const history = this.model.get("history");
    const decided = this.model.get("decisions");
    const parts = [];
    if (history.length) {
      const columns = ["#", "Question", "Answer", "By", "At", "Via", "Comment", "Taken"];
      parts.push(this.section("History", columns, history, true));
    }
    if (decided.length) {
      const columns = [
        ...["PK", "Decision", "Question", "Workflow", "By", "At", "Kind", "Via"],
        ...["Comment", "Shown", "Repeats"],
      ];
      parts.push(this.section("Decisions", columns, decided, false));
    }
    this.past.replaceChildren(...parts);
  }

  section(name, columns, rows, isOpen) {
    const before = this.past.querySelector(`details[data-name="${name}"]`);
    const details = h(
      "details",
      { open: before ? before.open : isOpen },
      h("summary", {}, `${name} (${rows.length})`),
      table(columns, rows, name),
    );
    details.dataset.name = name;
    return details;
  }
}

// endregion
