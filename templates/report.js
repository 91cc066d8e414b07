"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const parsed = (id) => JSON.parse(byId(id).textContent);
  // Text becomes text only: nothing here reads markup.
  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
      else if (name === "style") Object.assign(element.style, value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
    return element;
  };
  const ms = (us) => (us / 1000).toFixed(1) + " ms";

  // The list and its filters.
  const items = [...document.querySelectorAll("#trials li")];
  const texts = items.map((item) => item.textContent.toLowerCase());
  const hidden = new Set();
  const search = byId("search"), article = byId("detail");
  let visible = items, chosen = -1;
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    visible = items.filter((item, number) => {
      const fits = !hidden.has(item.dataset.outcome) && words.every((word) => texts[number].includes(word));
      item.hidden = !fits;
      return fits;
    });
    byId("nothing").hidden = visible.length > 0;
    byId("shown").textContent = visible.length === items.length ? "" : visible.length + " of " + items.length + " trials";
  };
  search.addEventListener("input", filter);
  for (const button of document.querySelectorAll(".filter")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", shown);
      if (shown) hidden.delete(button.dataset.outcome); else hidden.add(button.dataset.outcome);
      filter();
    });
  }
  const mark = (number) => {
    for (const old of document.querySelectorAll('#trials a[aria-current="true"]')) old.removeAttribute("aria-current");
    chosen = number;
    const item = items[number];
    if (!item) return;
    item.firstElementChild.setAttribute("aria-current", "true");
    item.scrollIntoView({block: "nearest"});
  };
  const move = (by) => {
    if (!visible.length) return;
    const at = visible.indexOf(items[chosen]);
    const to = at < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, at + by));
    mark(Number(visible[to].dataset.number));
  };
  const open = (number, focus) => {
    if (!items[number]) return;
    mark(number);
    article.replaceChildren(...drawn(number));
    article.scrollTop = 0;
    document.body.classList.add("opened");
    for (const late of article.querySelectorAll(".lanes")) late.dispatchEvent(new Event("scroll"));
    if (focus) article.focus({preventScroll: false});
    window.scrollTo(0, 0);
  };
  const close = () => {
    document.body.classList.remove("opened");
    const link = items[chosen] && items[chosen].firstElementChild;
    if (link) link.focus();
  };
  const follow = () => {
    const found = /^#t(\d+)$/.exec(location.hash);
    if (found) open(Number(found[1]), true); else document.body.classList.remove("opened");
  };
  window.addEventListener("hashchange", follow);
  byId("trials").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    // The same one again changes no hash.
    if (link && link.getAttribute("href") === location.hash) { event.preventDefault(); follow(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "Escape") {
      if (typing) event.target.blur(); else close();
    } else if (typing) {
      if (event.key === "Enter" && event.target === search) { search.blur(); move(0); }
    } else if (event.key === "/") {
      event.preventDefault(); document.body.classList.remove("opened"); search.focus(); search.select();
    } else if (event.key === "j" || event.key === "k") {
      event.preventDefault(); move(event.key === "j" ? 1 : -1);
      if (article.contains(document.activeElement)) document.activeElement.blur();
    } else if (event.key === "Enter" && event.target === document.body && chosen >= 0) {
      if (location.hash === "#t" + chosen) follow(); else location.hash = "#t" + chosen;
    }
  });

  // One trial.
  const difference = (text) => make("pre", {}, text.split("\n").flatMap((line) => {
    const sign = line.trimStart().slice(0, 2);
    return [make("span", {class: sign === "+ " ? "add" : sign === "- " ? "del" : null}, line), "\n"];
  }));
  const drawn = (number) => {
    const [told, detail] = parsed("d" + number);
    const facts = [["file", told.file + (told.findings.length ? ":" + told.findings[0].line : "")],
      ["took", (told.ran || told.whole) + (told.ran && told.ran !== told.whole ? " (" + told.whole + " with waiting for the server and for its turn)" : "")],
      ["server", told.server], ["seed", told.seed], ["run it again", told.repeat && make("code", {}, told.repeat)]];
    const parts = [
      make("a", {class: "back", href: "#"}, "← all trials"),
      make("h2", {}, make("span", {class: "badge " + told.outcome}, told.outcome.replace("_", " ")), " ", told.name),
      make("p", {}, told.title),
      make("dl", {class: "facts"}, facts.filter(([, value]) => value).flatMap(([name, value]) =>
        [make("dt", {}, name), make("dd", {}, value)])),
    ];
    if (told.reason && told.outcome !== "failed" && told.outcome !== "error") parts.push(make("p", {class: "banner"}, told.reason));
    if (told.findings.length) parts.push(make("h3", {}, "What did not hold"));
    for (const finding of told.findings) {
      parts.push(make("div", {class: "finding"},
        make("p", {}, make("a", {href: "#L" + finding.line, on: {click: (event) => { event.preventDefault(); at(finding.line); }}}, "line " + finding.line), ": ", make("strong", {}, finding.message)),
        finding.label ? make("p", {class: "quiet"}, finding.label) : null,
        finding.detail ? difference(finding.detail) : null));
    }
    const wrong = new Set(told.findings.map((finding) => finding.line));
    const file = told.text === null || told.text === undefined ? null : yaml(told.text, wrong);
    const at = (line) => {
      if (!file) return;
      for (const old of file.querySelectorAll(".at")) old.classList.remove("at");
      const row = file.children[line - 1];
      if (!row) return;
      row.classList.add("at");
      file.scrollTop = row.offsetTop - file.offsetTop - file.clientHeight / 3;
    };
    if (detail && detail.runs.length) parts.push(timeline(detail, file, at, wrong));
    else if (file) parts.push(make("h3", {}, "The file"), file);
    if (detail && detail.orders) parts.push(...orders(detail));
    if (told.failure) parts.push(make("details", {open: !told.findings.length}, make("summary", {}, "The text of the failure"), make("pre", {}, told.failure)));
    if (wrong.size) requestAnimationFrame(() => { at(told.findings[0].line); });
    return parts;
  };
  let files = null;
  const yaml = (number, wrong) => {
    files = files || parsed("files");
    const lines = files[number].split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    return make("ol", {id: "yaml", tabindex: 0, "aria-label": "The file"}, lines.map((line, index) =>
      make("li", {class: wrong.has(index + 1) ? "wrong" : null, "aria-label": wrong.has(index + 1) ? "line " + (index + 1) + ", did not hold: " + line : null},
        make("span", {"aria-hidden": "true"}, String(index + 1)), line || " ")));
  };
  const result = (rows) => make("div", {class: "wide"},
    make("table", {}, make("thead", {}, make("tr", {}, rows.h.map((name) => make("th", {scope: "col"}, name)))),
      make("tbody", {}, rows.d.map((row) => make("tr", {}, row.map((cell) => make("td", {class: "mono"}, cell)))))),
    rows.n > rows.d.length ? make("p", {class: "quiet"}, "… " + (rows.n - rows.d.length) + " more rows") : null);
  const inline = (rows) => {
    if (!rows.d.length) return "no rows";
    const one = (row) => row.map((cell, index) => rows.h[index] + "=" + cell).join(" ");
    return rows.d.slice(0, 3).map(one).join(" │ ") + (rows.n > 3 ? " … " + rows.n + " rows" : "");
  };
  const answer = (step) => step.o === null ? "had not returned" : step.r ? inline(step.r) : step.o;

  // What happened, in the order of time; each is one row of the lanes.
  const story = (detail, run) => {
    const all = [];
    run.steps.forEach((step, index) => {
      all.push({at: step.s, order: 0, kind: "start", step, index, c: step.c});
      if (step.w) all.push({at: step.w.at, order: 1, kind: "blocked", step, index, c: step.c});
      if (step.e !== null) all.push({at: step.e, order: 2, kind: "end", step, index, c: step.c});
    });
    for (const [at, name, c, job] of run.events) all.push({at, order: 3, kind: "event", name, c, job});
    const arrivals = new Map();
    for (const step of run.steps) {
      if (step.b === undefined) continue;
      const [name, parties] = detail.barriers[step.b];
      const own = arrivals.get(step.b) || [];
      arrivals.set(step.b, own);
      own.push(step);
      if (own.length % parties === 0) {
        const at = Math.min(...own.slice(-parties).map((one) => one.s));
        const names = own.slice(-parties).map((one) => detail.connections[one.c]);
        all.push({at, order: -1, kind: "barrier", name, c: null, names});
      }
    }
    all.sort((a, b) => a.at - b.at || a.order - b.order);
    // A step that has ended before anything else happened is one row.
    const rows = [];
    for (const one of all) {
      const last = rows[rows.length - 1];
      if (one.kind === "end" && last && last.kind === "start" && last.index === one.index) last.whole = true;
      else rows.push(one);
    }
    return rows;
  };
  const timeline = (detail, file, at, wrong) => {
    const holder = make("div", {}), under = make("div", {"aria-live": "polite"});
    const shown = new Set(detail.connections.keys());
    const draw = (number) => {
      const run = detail.runs[number];
      holder.replaceChildren(lanes(detail, run, shown, wrong, (step) => {
        under.replaceChildren(panel(detail, run, step));
        if (step.l) at(step.l);
      }));
      under.replaceChildren(run.checks.length ? make("div", {}, make("h3", {}, "Asked at the end"), run.checks.map((check) =>
        make("div", {class: "step"}, make("p", {}, "line " + check.l + ": " + check.t + " → " + check.o), check.r && check.r.d.length ? result(check.r) : null))) : "");
      ends.replaceChildren(...run.ends.map(([word, why], index) => word === "completed" && !why || !detail.connections[index] ? "" :
        make("span", {class: "chip" + (word === "failed" ? " bad" : "")}, detail.connections[index] + ": " + word + (why ? " (" + why + ")" : ""))));
    };
    const ends = make("p", {});
    const select = detail.runs.length > 1 ? make("select", {id: "run", on: {change: () => draw(Number(select.value))}},
      detail.runs.map((run, index) => make("option", {value: index}, run.label))) : null;
    if (select) timeline.choose = (number) => { select.value = number; draw(number); holder.scrollIntoView({block: "nearest"}); };
    const only = make("input", {type: "search", placeholder: "connections, such as alice bob", on: {input: () => {
      const words = only.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
      shown.clear();
      detail.connections.forEach((name, index) => {
        if (!words.length || words.some((word) => name.toLowerCase().includes(word))) shown.add(index);
      });
      draw(select ? Number(select.value) : 0);
    }}});
    draw(0);
    const left = make("div", {}, make("h3", {}, "Timeline"),
      make("div", {class: "tools"}, select ? make("label", {}, "Interleaving ", select) : null,
        detail.connections.length > 3 ? make("label", {}, "Only ", only) : null),
      ends, holder, under);
    return file ? make("div", {class: "beside"}, left, make("div", {}, make("h3", {}, "The file"), file)) : left;
  };
  const panel = (detail, run, step) => {
    const name = (number) => detail.connections[number] || "a session outside of the trial";
    const facts = [["sent", ms(step.s)], ["returned", step.e === null ? "not before the end" : ms(step.e) + " (after " + ms(step.e - step.s) + ")"],
      ["outcome", step.o], ["waited for others", step.q ? ms(step.q) : null],
      ["barrier", step.b === undefined ? null : detail.barriers[step.b][0]],
      ["blocked", step.w ? "from " + ms(step.w.at) + (step.w.by.length ? " by " + step.w.by.map(name).join(", ") : "") + (step.w.key ? " (" + step.w.key + ")" : "") + ": " + step.w.why : null],
      ["released by", step.w && step.w.rel !== null && run.steps[step.w.rel] ? name(run.steps[step.w.rel].c) + ": " + run.steps[step.w.rel].t : null],
      ["repetition", step.n ? String(step.n) : null], ["then", step.g]];
    return make("div", {class: "step"},
      make("p", {}, make("strong", {}, name(step.c)), ", line " + step.l + ", state " + step.k),
      make("pre", {}, step.t),
      make("dl", {class: "facts"}, facts.filter(([, value]) => value).flatMap(([key, value]) =>
        [make("dt", {}, key), make("dd", {style: {whiteSpace: "pre-wrap"}}, value)])),
      step.r && step.r.h.length ? result(step.r) : null);
  };

  // The lanes: only the rows that can be seen are in the document.
  const lanes = (detail, run, shown, wrong, choose) => {
    const TIME = 84, HEIGHT = 40, MOST = 12000000;
    const columns = [...shown];
    const place = new Map(columns.map((connection, index) => [connection, index]));
    const rows = story(detail, run).filter((row) => row.c === null || row.c === undefined || place.has(row.c));
    const height = Math.max(20, Math.min(HEIGHT, Math.floor(MOST / Math.max(1, rows.length))));
    const box = make("div", {class: "lanes", role: "listbox", tabindex: 0, "aria-label": "What each connection did, in the order of time"});
    const space = make("div", {class: "space"});
    const heads = make("div", {class: "heads"});
    box.append(heads, space);
    // Which rows a step covers, for each column in the order of time.
    const spans = columns.map(() => []);
    const open = new Map();
    rows.forEach((row, index) => {
      if (row.kind === "start") {
        const span = {from: index, to: row.whole ? index : row.step.e === null ? rows.length - 1 : index, step: row.step, blocked: null};
        open.set(row.index, span);
        spans[place.get(row.c)].push(span);
      } else if (row.kind === "blocked" && open.get(row.index)) open.get(row.index).blocked = index;
      else if (row.kind === "end" && open.get(row.index)) open.get(row.index).to = index;
    });
    let selected = -1, drawnKey = "";
    const second = (row) => {
      const step = row.step;
      if (row.kind === "blocked") return null;
      if (row.kind === "start" && !row.whole) return step.e === null ? make("div", {class: "second x"}, "… had not returned") : make("div", {class: "second"}, "…");
      return make("div", {class: "second" + (step.x ? " x" : "")}, "→ " + answer(step) + (step.g ? ", " + step.g : "") + "  " + ms(step.e - step.s));
    };
    const text = (row) => {
      const step = row.step;
      if (row.kind === "event") return (row.job ? "job event " : "event ") + row.name;
      if (row.kind === "barrier") return "barrier " + row.name + ": " + row.names.join(", ");
      if (row.kind === "blocked") {
        const by = step.w.by.map((number) => detail.connections[number] || "?").join(", ");
        return "blocked" + (by ? " by " + by : "") + (step.w.key ? " (" + step.w.key + ")" : "");
      }
      const wait = step.q >= 1000 ? " (waited " + ms(step.q) + ")" : "";
      const repeat = step.n ? "#" + step.n + " " : "";
      return step.l + ": " + repeat + step.t.replace(/\s+/g, " ") + wait;
    };
    const draw = () => {
      // Many connections have narrow lanes behind one column of text, so that none of it is out of sight.
      const thin = columns.length > 6;
      const words = thin ? Math.max(180, Math.min(520, box.clientWidth - TIME - Math.min(240, 22 * columns.length))) : 0;
      const width = thin ? 22 : Math.max(150, Math.floor((box.clientWidth - TIME - 2) / Math.max(1, columns.length)));
      const first = Math.max(0, Math.floor((box.scrollTop - 60) / height) - 4);
      const last = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + 4);
      const key = [first, last, width, words, selected].join(" ");
      if (key === drawnKey) return;
      drawnKey = key;
      const total = TIME + words + width * columns.length;
      space.style.height = rows.length * height + "px";
      space.style.width = heads.style.width = total + "px";
      heads.replaceChildren(make("span", {style: {width: TIME + "px"}}, "time"), thin ? make("span", {style: {width: words + "px"}}, columns.length + " connections") : "", ...columns.map((connection) =>
        make("span", {class: thin ? "thin" : null, style: {width: width + "px"}, title: detail.connections[connection]}, thin ? "" : detail.connections[connection])));
      const left = (connection) => TIME + words + place.get(connection) * width;
      const parts = columns.map((_, index) => make("div", {class: "column", style: {left: TIME + words + index * width + "px", height: rows.length * height + "px"}}));
      columns.forEach((connection, index) => {
        const own = spans[index];
        let low = 0, high = own.length;
        while (low < high) { const middle = (low + high) >> 1; if (own[middle].to < first) low = middle + 1; else high = middle; }
        for (; low < own.length && own[low].from <= last; low++) {
          const {from, to, blocked, step} = own[low];
          if (to > from || thin) parts.push(make("div", {class: "span", title: detail.connections[connection], style: {left: left(connection) + 1 + "px", top: from * height + 6 + "px", height: (to - from) * height + 10 + "px"}}));
          if (blocked === null) continue;
          parts.push(make("div", {class: "span blocked", style: {left: left(connection) + "px", top: blocked * height + 4 + "px", height: Math.max(1, to - blocked) * height + 6 + "px"}}));
          for (const holder of step.w.by.filter((one) => place.has(one))) {
            const [a, b] = [left(connection) + 4, left(holder) + 4];
            parts.push(make("div", {class: "arrow " + (b < a ? "left" : "right"), style: {left: Math.min(a, b) + "px", width: Math.abs(b - a) + "px", top: blocked * height + 30 + "px"}}));
          }
        }
      });
      for (let index = first; index < last; index++) {
        const row = rows[index], top = index * height;
        const across = row.c === null || row.c === undefined;
        parts.push(make("div", {class: "time", "aria-hidden": "true", style: {top: top + 1 + "px", width: TIME + "px"}}, ms(row.at)));
        const bad = row.step && wrong.has(row.step.l);
        parts.push(make("div", {
          class: "item" + (across ? " all" : "") + (bad ? " bad" : ""), role: "option", id: "row" + index, "aria-selected": String(index === selected),
          "aria-setsize": rows.length, "aria-posinset": index + 1, title: text(row),
          "aria-label": across ? null : detail.connections[row.c] + ", " + text(row) + (row.step && row.kind !== "blocked" && (row.whole || row.kind === "end") ? ", " + answer(row.step) : ""),
          style: {top: top + "px", height: height + "px", left: (across || thin ? TIME : left(row.c)) + 2 + "px", width: (thin ? words : across ? total - TIME : width) - 4 + "px"},
          on: {click: () => pick(index)},
        }, make("div", {class: row.kind === "blocked" || row.kind === "event" ? "w" : null}, (thin && !across ? detail.connections[row.c] + " │ " : "") + (row.kind === "end" ? "↳ " : "") + text(row)), row.step && height >= 38 ? second(row) : null));
      }
      space.replaceChildren(...parts);
      if (selected >= 0) box.setAttribute("aria-activedescendant", "row" + selected);
    };
    const pick = (index) => {
      selected = Math.max(0, Math.min(rows.length - 1, index));
      const head = heads.offsetHeight, top = selected * height;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top + height > box.scrollTop + box.clientHeight - head) box.scrollTop = top + height - box.clientHeight + head;
      draw();
      if (rows[selected] && rows[selected].step) choose(rows[selected].step);
    };
    box.addEventListener("scroll", draw);
    box.addEventListener("keydown", (event) => {
      const page = Math.max(1, Math.floor(box.clientHeight / height) - 2);
      const by = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length}[event.key];
      if (by === undefined || !rows.length) return;
      event.preventDefault();
      pick(selected < 0 ? 0 : selected + by);
    });
    new ResizeObserver(draw).observe(box);
    return rows.length ? box : make("p", {class: "quiet"}, "Nothing was run.");
  };

  // What all interleavings came to.
  const orders = (detail) => {
    const all = detail.orders;
    const names = [];
    for (const outcome of all.outcomes) for (const [what] of outcome.facts) if (!names.includes(what)) names.push(what);
    const value = (outcome, what) => { const found = outcome.facts.find(([name]) => name === what); return found ? found[1] : "–"; };
    const differ = names.filter((what) => new Set(all.outcomes.map((outcome) => value(outcome, what))).size > 1 || all.outcomes.length === 1);
    const title = (index) => index + 1 + (all.outcomes[index].names.length ? " " + all.outcomes[index].names.join(", ") : "");
    const table = make("div", {class: "wide"}, make("table", {},
      make("thead", {}, make("tr", {}, ["outcome", "interleavings", ...differ, "such as"].map((name) => make("th", {scope: "col"}, name)))),
      make("tbody", {}, all.outcomes.map((outcome, index) => make("tr", {},
        make("th", {scope: "row"}, make("span", {class: "chip" + (outcome.unexpected ? " bad" : "")}, title(index) + (outcome.unexpected ? " ✗ not expected" : ""))),
        make("td", {}, outcome.count), differ.map((what) => make("td", {class: "mono"}, value(outcome, what))),
        make("td", {}, make("code", {}, outcome.order), " ", outcome.run === null ? null :
          make("button", {type: "button", on: {click: () => timeline.choose && timeline.choose(outcome.run)}}, "show")))))));
    const parts = [make("h3", {}, "Outcomes"), make("p", {}, all.summary), table];
    if (all.leaves.length > 1) parts.push(make("h3", {}, "Tree of choices"),
      make("p", {class: "quiet"}, "Each branch is the connection that takes the next step; only interleavings that were run are here" + (all.left_out ? ", without " + all.left_out + " of them" : "") + "."),
      tree(detail, title));
    return parts;
  };
  const tree = (detail, title) => {
    const all = detail.orders;
    const chips = (leaves) => {
      const counts = new Map();
      for (const [outcome] of leaves) counts.set(outcome, (counts.get(outcome) || 0) + 1);
      return [...counts].sort((a, b) => a[0] - b[0]).map(([outcome, count]) =>
        make("span", {class: "chip" + (all.outcomes[outcome].unexpected ? " bad" : "")}, (leaves.length > 1 ? count + " × " : "") + title(outcome)));
    };
    const label = (picks, depth) => {
      const connection = picks[depth];
      let own = 0;
      for (let index = 0; index < depth; index++) if (picks[index] === connection) own++;
      const step = all.steps[connection][own];
      return detail.connections[connection] + (step ? " " + step[0] + ": " + step[1].replace(/\s+/g, " ") : "");
    };
    const branch = (leaves, depth) => {
      const groups = new Map();
      for (const leaf of leaves) {
        const pick = leaf[1][depth];
        if (pick === undefined) continue;
        if (!groups.has(pick)) groups.set(pick, []);
        groups.get(pick).push(leaf);
      }
      return [...groups.values()].map((group) => {
        // A chain without a choice is one node.
        const words = [label(group[0][1], depth)];
        let deep = depth + 1;
        while (group[0][1][deep] !== undefined && group.every((leaf) => leaf[1][deep] === group[0][1][deep])) words.push(label(group[0][1], deep++));
        const more = group.length > 1;
        const line = make("div", {}, more ? "▸ " : "  ", chips(group), words.join(" → "));
        const node = make("li", {role: "treeitem", tabindex: -1, "aria-expanded": more ? "false" : null}, line);
        const toggle = () => {
          if (!more) return;
          const inner = node.querySelector(":scope > ul");
          const opened = node.getAttribute("aria-expanded") === "true";
          node.setAttribute("aria-expanded", String(!opened));
          line.firstChild.data = opened ? "▸ " : "▾ ";
          if (opened) inner.remove();
          else node.append(make("ul", {role: "group", class: "branch"}, branch(group, deep)));
        };
        line.addEventListener("click", toggle);
        node.toggle = toggle;
        return node;
      });
    };
    const root = make("ul", {role: "tree", "aria-label": "Tree of choices"}, branch(all.leaves, 0));
    if (root.firstElementChild) root.firstElementChild.tabIndex = 0;
    root.addEventListener("keydown", (event) => {
      const node = event.target.closest("[role=treeitem]");
      if (!node) return;
      const seen = [...root.querySelectorAll("[role=treeitem]")];
      const go = (to) => { if (!to) return; node.tabIndex = -1; to.tabIndex = 0; to.focus(); };
      const opened = node.getAttribute("aria-expanded");
      if (event.key === "ArrowDown") go(seen[seen.indexOf(node) + 1]);
      else if (event.key === "ArrowUp") go(seen[seen.indexOf(node) - 1]);
      else if (event.key === "ArrowRight" && opened === "false" || event.key === "ArrowLeft" && opened === "true" || event.key === "Enter" || event.key === " ") node.toggle();
      else if (event.key === "ArrowRight") go(node.querySelector("[role=treeitem]"));
      else if (event.key === "ArrowLeft") go(node.parentElement.closest("[role=treeitem]"));
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return root;
  };

  const head = () => document.documentElement.style.setProperty("--head", document.querySelector("header").offsetHeight + "px");
  new ResizeObserver(head).observe(document.querySelector("header"));
  head();
  filter();
  follow();
  if (chosen < 0) mark(Number((items.find((item) => item.dataset.outcome === "error" || item.dataset.outcome === "failed") || items[0] || {dataset: {number: -1}}).dataset.number));
})();
