// The inbox in a notebook: what waits for a person, a form for each, the verdict.
//
// Text that comes from a person becomes text nodes only: nothing here reads HTML.

const TICK_MS = 1000;
const FILTER_FROM = 11;
const RADIOS_UP_TO = 8;
const FOCUS_WAITS_MS = 5000;
const SAY_AGAIN_MS = 1000; // and then after twice as long, and so on
const SAY_AT_LEAST_MS = 20_000; // that it is shown: a page that was closed says nothing
const SILENCE_MS = 10_000;
const SILENCE =
  "The kernel does not reply, so this may be out of date. If it is busy, wait; " +
  "if it was restarted or has ended, run this cell again.";
const NO_REPLY_MS = 40_000; // the kernel itself gives up before
const NO_REPLY = "No reply: if the kernel was restarted, run the cell again.";
// As Python's side reads them in a field for a number.
const TYPED_NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(e[+-]?\d+)?$/i;
const FOCUSABLE = new Set(["button", "input", "select", "summary", "textarea"]);
// JupyterLab runs this file once for each inbox: a count alone is not unique on a page.
const OWN = randomId();
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
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
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
  return `hitl-${OWN}-${made}`;
}

// `randomUUID` is only for pages from this machine or over TLS.
function randomId() {
  return crypto.randomUUID?.() ?? String(Math.random()).slice(2);
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
// region JSON
//
// JavaScript would round 9007199254740993 and take 1.0 for 1, so that a default would
// change by being shown. Here a number is its text, behind a mark that nobody types.

const MARK = `number-${OWN}:`;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, "g");
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

// Throws a SyntaxError where the text is no JSON.
function parse(text) {
  JSON.parse(text);
  const marked = text.replace(STRING_OR_NUMBER, (part) =>
    part.startsWith('"') ? part : `"${MARK}${part}"`,
  );
  return JSON.parse(marked);
}

function toJson(value, indent) {
  return JSON.stringify(value, null, indent).replace(MARKED, "$1");
}

function asText(value) {
  if (typeof value !== "string") return toJson(value);
  return value.startsWith(MARK) ? value.slice(MARK.length) : value;
}

// The number that was typed as JSON writes it; the text, to be refused, if it is none.
function numberIn(typed) {
  const [, sign, whole, part, exponent = ""] = TYPED_NUMBER.exec(typed) ?? [];
  if (!whole && !part) return typed;
  const digits = (whole || "0").replace(/^0+(?=\d)/, "");
  const fraction = part === undefined ? "" : `.${part || "0"}`;
  return `${MARK}${sign === "-" ? "-" : ""}${digits}${fraction}${exponent}`;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSame(one, other) {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((part, i) => isSame(part, other[i]));
  }
  if (!isObject(one) || !isObject(other)) return one === other;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  );
}

// endregion
// region forms
//
// A field is {element, read(), focus()}: `read` returns what the person said, which the
// workflow judges; nothing is judged here, or two judges could differ. `described` are
// the ids of what a screen reader shall say of it.

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

// options: [{value, text, note}]; several: checkboxes in place of radio buttons;
// isOptional: what was chosen by mistake can be taken back.
function optionsField(said) {
  const { chosen = [], several, isOptional, described, label } = said;
  const name = newId();
  const isChosen = (value) =>
    chosen.some((other) => isSame(other, value));
  if (!several && said.options.length > RADIOS_UP_TO) {
    return selectField({ options: said.options, isChosen, described, label });
  }
  const options = [...said.options];
  if (isOptional) options.push({ value: null, text: "not said" });
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

// `value` is undefined where the schema's own default is offered, null where nothing is.
// `read` returns a value as `parse` does, null where nothing was said.
function schemaField(given, root, value, about) {
  const schema = resolved(given, root);
  const { depth = 0, needed = true } = about;
  const start = (value === undefined ? schema.default : value) ?? null;
  const choice = { ...about, chosen: [start], isOptional: !needed };
  if (schema.enum) {
    const options = schema.enum.map((each) => ({ value: each, text: asText(each) }));
    return optionsField({ ...choice, options });
  }
  if (schema.type === "boolean") return booleanField(choice);
  if (!hasForm(schema, root, depth)) return jsonField(start, about);
  if (schema.type === "object") return objectField(schema, root, value, about);
  return lineOf(schema, start, about);
}

function lineOf(schema, given, about) {
  const start = typeof given === "object" ? null : given; // which has no place on a line
  const text = start === null ? "" : asText(start);
  const numeric = schema.type !== "string";
  const field = text.includes("\n")
    ? textField({ ...about, value: text })
    : lineField({ ...about, value: text, numeric });
  const untouched = field.read();
  const read = () => {
    const typed = field.read();
    if (typed === untouched) return start;
    if (typed.trim() === "") return null;
    return numeric ? numberIn(typed.trim()) : typed;
  };
  return { ...field, read };
}

function objectField(schema, root, value, about) {
  const { label, described, depth = 0, needed = true } = about;
  const given = value ?? (value === undefined ? schema.default : null) ?? null;
  const start = isObject(given) ? given : {};
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(([name, part]) => {
    const { description, nullable } = resolved(part, root);
    const title = part.title ?? name; // not that of what a $ref leads to
    const isNeeded = required.has(name);
    const inner = { label: title, depth: depth + 1, needed: isNeeded };
    const notes = [
      description,
      hasForm(part, root, depth + 1) ? "" : 'As JSON: [1, 2], {"a": 1} or "text".',
    ];
    const hints = notes
      .filter(Boolean)
      .map((note) => h("div", { className: "hitl-dim", id: newId() }, note));
    const mark = h("span", { id: newId() }, isNeeded ? "" : " (optional)");
    inner.described = [mark, ...hints].map((each) => each.id).join(" ");
    // What a given object leaves out is left out, whatever the schema's default is.
    const own = Object.hasOwn(start, name) ? start[name] : null;
    const field = schemaField(part, root, given === null ? undefined : own, inner);
    const head = h("div", {}, title, mark);
    const line = h("div", { className: "hitl-part" }, head, ...hints, field.element);
    const saysNull = (isNeeded && nullable) || start[name] === null;
    return { name, line, field, saysNull };
  });
  const filled = () => {
    const said = { ...start }; // with what has no field
    for (const { name, field, saysNull } of fields) {
      const part = field.read();
      if (part !== null || saysNull) said[name] = part;
      else delete said[name];
    }
    return said;
  };
  const untouched = filled();
  const read = () => {
    const said = filled();
    return isSame(said, untouched) && !needed && given === null ? null : said;
  };
  const element = h(
    "div",
    {
      className: depth ? "hitl-nested" : "",
      role: "group",
      "aria-label": label,
      "aria-describedby": described,
    },
    ...fields.map(({ line }) => line),
  );
  return { element, read, focus: () => fields[0].field.focus() };
}

function rawField(value, about) {
  const text = value === undefined || value === null ? "" : toJson(value, 2);
  return textField({ ...about, value: text, rows: 5, mono: true });
}

// A part for which there is no form. What is no JSON is sent as it is, and refused.
function jsonField(value, about) {
  const field = rawField(value, about);
  const read = () => {
    const text = field.read().trim();
    try {
      return text ? parse(text) : null;
    } catch {
      return text;
    }
  };
  return { ...field, read };
}

// The form, and beside it the same as JSON for whoever prefers to paste. What is read is
// JSON text: Python keeps the long numbers in it, and a word that looks like a number.
function jsonSchemaField(schema, value, about) {
  const raw = (start) => rawField(start, about);
  // None where it would lose something of what it starts with.
  const form = (start) => {
    const field = schemaField(schema, schema, start, about);
    if (start !== undefined && !isSame(field.read(), start)) return null;
    const read = () => (field.read() === null ? "" : toJson(field.read()));
    return { ...field, read };
  };
  if (!hasForm(schema, schema)) return raw(value);
  let field = form(value ?? undefined);
  let isRaw = field === null;
  field ??= raw(value);
  const place = h("div", {}, field.element);
  const why = h("p", { className: "hitl-verdict", role: "alert" });
  why.dataset.outcome = "refused";
  const other = h("button", { type: "button", className: "hitl-link" });
  const show = () => {
    place.replaceChildren(field.element);
    other.textContent = isRaw ? "Edit as a form" : "Edit as JSON";
  };
  const change = () => {
    const text = field.read().trim();
    const start = text ? parse(text) : undefined;
    const changed = isRaw ? form(start) : raw(start);
    if (changed === null) throw new Error("the form has no place for all of it.");
    field = changed;
    isRaw = !isRaw;
    show();
  };
  other.addEventListener("click", () => {
    why.textContent = "";
    try {
      change();
    } catch (error) {
      why.textContent = `This cannot be shown as a form: ${error.message}`;
    }
    field.focus();
  });
  show();
  const element = h("div", {}, place, why, other);
  return { element, read: () => field.read(), focus: () => field.focus() };
}

// endregion

// offered: {default, schema, options, chosen, nodes}, the first two as JSON text. An
// option is read as its position.
function fieldFor(question, offered, described) {
  const { kind } = question;
  const label = question.text;
  const start = offered.default === null ? null : parse(offered.default);
  const value = start === null ? "" : asText(start);
  const said = { value, described, label };
  const options = offered.options.map((text, index) => ({ value: index, text }));
  const { chosen } = offered;
  switch (kind.kind) {
    case "integer":
    case "float":
      return lineField({ ...said, numeric: true, unit: kind.unit });
    case "boolean":
      return booleanField({ ...said, chosen: [start] });
    case "choice":
      return optionsField({ ...said, options, chosen });
    case "choices":
      return optionsField({ ...said, options, chosen, several: true });
    case "node":
      return nodeField({ ...said, chosen: [value] }, kind, offered.nodes);
    case "json":
      return jsonSchemaField(parse(offered.schema), start, { described, label });
    default:
      return kind.max_length && kind.max_length <= 80 && !value.includes("\n")
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
  return h(
    "details",
    { className: "hitl-evidence", open: true },
    h("summary", {}, record.title),
    ...parts,
    codeView(`load_node("${record.uuid}")`),
  );
}

// What to run in a cell to have the node there, and a button that copies it.
function codeView(text) {
  const code = h("code", {}, text);
  const said = h("span", { className: "hitl-dim", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(code); // the page has no clipboard
      said.textContent = "Press Ctrl+C to copy it.";
    }
  };
  const properties = { type: "button", className: "hitl-link", onclick: copy };
  const button = h("button", { ...properties, "aria-label": `Copy ${text}` }, "Copy");
  const label = h("span", { className: "hitl-dim" }, "In a cell: ");
  return h("div", { className: "hitl-code" }, label, code, " ", button, " ", said);
}

// endregion
// region one thing that waits

class Item {
  constructor(row, inbox) {
    this.inbox = inbox;
    this.urls = [];
    this.asks = row.id !== null;
    this.question = h("span", { className: "hitl-question", id: newId() });
    this.facts = h("span", { id: newId() });
    this.since = h("span", { id: newId() });
    const panelId = newId();
    this.button = h(
      "button",
      {
        type: "button",
        className: "hitl-head",
        "aria-expanded": "false",
        "aria-controls": panelId,
        // The clock in the name would have it read again and again.
        "aria-labelledby": `${this.question.id} ${this.facts.id}`,
        "aria-describedby": this.since.id,
        onclick: () => this.toggle(),
      },
      this.question,
      h("span", { className: "hitl-dim" }, this.facts, " · ", this.since),
    );
    this.panel = h("div", { className: "hitl-panel", id: panelId, hidden: true });
    this.verdict = h("p", { className: "hitl-verdict", role: "status" });
    this.element = h("li", { className: "hitl-item" }, this.button, this.panel);
    this.element.dataset.key = row.key;
    this.update(row);
  }

  update(row) {
    if (this.row && isSame(this.row, row)) return;
    this.row = row;
    this.question.textContent = this.title();
    this.facts.textContent = this.about();
    if (!this.asks && this.isOpen) this.showWay();
    this.tick();
  }

  // How it goes on that waits for no answer.
  showWay() {
    const way = h("code", {}, this.row.play);
    const text = "It asks nothing: it is paused. To have it go on, in a terminal: ";
    this.panel.replaceChildren(h("p", {}, text, way));
  }

  title() {
    return this.row.name ? `${this.row.name}: ${this.row.text}` : this.row.text;
  }

  about() {
    const { workflow, pk, caller, deadline, assignees = [] } = this.row;
    const parts = [`${workflow} <${pk}>`];
    if (caller) parts.push(`called by ${caller}`);
    if (assignees.length) parts.push(`for ${assignees.join(", ")}`);
    if (deadline) parts.push(`until ${moment(deadline)}`);
    return parts.join(" · ");
  }

  words() {
    return `${this.title()} ${this.about()}`.toLowerCase();
  }

  tick() {
    this.since.textContent = `waiting for ${age(this.row.since)}`;
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
      this.showWay();
    } else if (this.field) {
      if (focuses) this.field.focus();
    } else {
      this.panel.replaceChildren(h("p", { className: "hitl-dim" }, "Fetching it…"));
      const { key, pk, id } = this.row;
      this.stopAsking?.();
      this.stopAsking = insist(() => this.inbox.tell({ type: "open", key, pk, id }));
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
    this.form = form;
    this.isDefault = () => false;
    if (content.offered.default !== null) {
      const before = JSON.stringify(this.field.read());
      this.isDefault = () => JSON.stringify(this.field.read()) === before;
    }
    this.untouched = this.typed();
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

  typed() {
    const places = this.form?.querySelectorAll("input[type=text], textarea") ?? [];
    return [...places].map((place) => place.value.trim()).filter(Boolean).join("\n");
  }

  // What was typed here and not sent; empty if nothing was.
  get draft() {
    const typed = this.typed();
    return typed === this.untouched ? "" : typed;
  }

  // Sent from this page, and nothing heard of it yet.
  get isPending() {
    return Boolean(this.isSending) && !this.isAccepted;
  }

  answer() {
    if (this.isSending) return;
    this.isBusy(true);
    this.inbox.say("");
    this.say("Sending…", "");
    const { key, pk, id } = this.row;
    const [value, comment] = [this.field.read(), this.comment.read().trim()];
    const isDefault = this.isDefault();
    this.inbox.tell({ type: "answer", key, pk, id, value, isDefault, comment });
    this.expectReply((error) => this.hear({ error }));
  }

  // Not `disabled`, which would take the focus from the button.
  isBusy(isSending) {
    this.isSending = isSending;
    this.send.setAttribute("aria-disabled", String(isSending));
  }

  hear({ verdict, error, said }) {
    clearTimeout(this.patience);
    this.isAccepted = verdict?.outcome === "accepted";
    this.isBusy(this.isAccepted);
    if (this.isAccepted) {
      this.say(`Accepted: ${said}`, "accepted");
    } else {
      this.say(error ?? verdict.reason, verdict?.outcome ?? "refused");
      if (verdict?.outcome === "kept") this.untouched = this.typed();
      if (this.element.contains(document.activeElement)) this.field.focus();
    }
    this.inbox.showQuestions(); // which waits for the verdict if the question is gone
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
    this.page = randomId();
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
    this.stopSaying = insist(() => this.callKernel());
  }

  build(el) {
    const only = this.model.get("only");
    this.count = h("p", { className: "hitl-count", role: "status", tabIndex: -1 });
    this.draft = h("div", { className: "hitl-draft" });
    this.trouble = h("p", { className: "hitl-trouble", role: "alert" });
    this.filter = h("input", {
      type: "search",
      className: "hitl-input",
      placeholder: "Filter by words",
      "aria-label": "Filter what waits",
      oninput: () => this.sift(),
    });
    this.found = h("p", { className: "hitl-dim", role: "status" });
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
      this.draft,
      this.trouble,
      this.filter,
      this.found,
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
    clearTimeout(this.silence);
    this.tell({ type: "hidden" });
    for (const item of this.items.values()) item.close();
  }

  tick() {
    for (const item of this.items.values()) item.tick();
  }

  // A kernel that was restarted is no longer there to be told: that throws, or nothing
  // comes back.
  tell(message) {
    try {
      this.model.send({ ...message, page: this.page });
    } catch {
      this.hearSilence(true);
    }
  }

  callKernel() {
    this.silence ??= setTimeout(() => this.hearSilence(true), SILENCE_MS);
    this.tell({ type: "shown" });
  }

  hearSilence(isSilent) {
    clearTimeout(this.silence);
    this.silence = undefined;
    this.isSilent = isSilent;
    this.root.classList.toggle("hitl-stale", isSilent);
    this.showTrouble();
  }

  hear(content, buffers) {
    if (content.page !== this.page) return; // another view of the same inbox has asked
    const item = this.items.get(content.key);
    if (content.type === "seen") this.hearSilence(false);
    if (content.type === "question") item?.fill(content, buffers);
    if (content.type !== "verdict") return;
    // The question may be gone already, and its form with it.
    if (content.verdict?.outcome === "accepted") this.say(`Accepted: ${content.said}.`);
    else if (!item?.field) this.say(content.error ?? content.verdict.reason);
    if (item?.field) item.hear(content);
  }

  // What has just happened, with what somebody had typed for nothing.
  say(text, draft = "") {
    this.said = text;
    const kept = [
      h("p", { className: "hitl-dim" }, "What you had typed there:"),
      h("pre", { tabIndex: 0 }, draft),
    ];
    this.draft.replaceChildren(...(draft ? kept : []));
    this.showCount();
  }

  showQuestions() {
    const rows = this.model.get("questions");
    const wanted = new Set(rows.map((row) => row.key));
    const isFirst = this.items.size === 0;
    const hadFocus = this.list.contains(document.activeElement);
    const gone = [...this.items.values()].filter((item) => !wanted.has(item.row.key));
    // Only its verdict tells whether the answer of this page has closed it.
    if (gone.some((item) => item.isPending)) return;
    const next = this.nextAfter(gone);
    for (const item of gone) this.remove(item);
    for (const row of rows) {
      if (this.items.has(row.key)) {
        this.items.get(row.key).update(row);
        continue;
      }
      const item = new Item(row, this);
      this.items.set(row.key, item);
      this.list.append(item.element);
      this.welcome(item, rows.length === 1 && isFirst, rows.length < FILTER_FROM);
    }
    if (hadFocus && !this.list.contains(document.activeElement)) {
      this.parked = next;
      this.parked.focus();
    }
    const many = rows.length >= FILTER_FROM;
    this.filter.hidden = !many;
    this.list.classList.toggle("hitl-many", many);
    this.showCount();
    this.sift();
  }

  // Where somebody goes on whose question is gone: after an answer of their own at the
  // next that stays, or the one before. Whoever still types at one that others have
  // closed goes where keys do nothing, or they would answer what nobody has read.
  nextAfter(gone) {
    const all = [...this.items.values()];
    const at = all.findIndex((item) => item.element.contains(document.activeElement));
    if (!all[at]?.isAccepted) return this.count;
    const stays = (item) => !gone.includes(item) && !item.element.hidden;
    const next = all.slice(at + 1).find(stays) ?? all.slice(0, at).findLast(stays);
    return next?.button ?? this.count;
  }

  // Whoever types elsewhere meanwhile is left alone.
  mayFocus(item) {
    const now = document.activeElement;
    return [null, document.body, this.parked].includes(now) || item.element.contains(now);
  }

  showCount() {
    const rows = this.model.get("questions");
    const count = rows.filter((row) => row.id !== null).length;
    const others = rows.length - count;
    const paused = others ? ` ${others} paused without one.` : "";
    const waits = count === 1 ? "1 question waits." : `${count || "No"} questions wait.`;
    const parts = [this.said, this.model.get("ended") ? "" : `${waits}${paused}`];
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

  remove(item) {
    const { key, pk } = item.row;
    const focused = item.element.contains(document.activeElement);
    const isOwn = Boolean(item.isAccepted);
    if (item.isOpen) {
      const until = Date.now() + FOCUS_WAITS_MS;
      this.left = { pk, focused: focused && isOwn, until };
    }
    if (!isOwn && (focused || item.draft)) this.say(this.fate(item), item.draft);
    item.close();
    this.items.delete(key);
  }

  // What became of a question that was closed from elsewhere.
  fate(item) {
    const title = item.title();
    const name = title.length > 80 ? `${title.slice(0, 80)}…` : title;
    const closed = this.model.get("closed").find((each) => each.key === item.row.key);
    if (!closed) return `“${name}” is no longer open.`;
    const { value, by, via } = closed;
    if (!by) return `“${name}” was closed meanwhile ${value}.`;
    const who = via ? `${by}, ${via}` : by;
    return `“${name}” was answered meanwhile by ${who}: ${value}.`;
  }

  sift() {
    const typed = this.filter.hidden ? "" : this.filter.value.toLowerCase();
    const words = typed.split(/\s+/).filter(Boolean);
    const items = [...this.items.values()];
    for (const item of items) {
      const text = words.length ? item.words() : "";
      item.element.hidden = !words.every((word) => text.includes(word));
    }
    const count = items.filter((item) => !item.element.hidden).length;
    const text = words.length ? `${count} of ${items.length} match.` : "";
    if (this.found.textContent !== text) this.found.textContent = text;
  }

  showTrouble() {
    const text = this.isSilent ? SILENCE : this.model.get("trouble");
    if (this.trouble.textContent !== text) this.trouble.textContent = text;
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
