// Metric names under the cursor: a listbox below the expression, by arrows, Enter or Tab.

const SHOWN_MAX = 12;
const WORD = /[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function attachSuggest(box, list, fetchNames) {
  let names = null;
  let items = [];
  let at = -1;

  const close = () => {
    list.hidden = true;
    items = [];
    at = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };
  const word = () => (box.value.slice(0, box.selectionStart).match(WORD) || [""])[0];
  const mark = (i) => {
    at = i;
    [...list.children].forEach((li, k) => li.setAttribute("aria-selected", String(k === i)));
    if (i >= 0) {
      box.setAttribute("aria-activedescendant", list.children[i].id);
      list.children[i].scrollIntoView({ block: "nearest" });
    }
  };
  const take = (name) => {
    const from = box.selectionStart - word().length;
    box.setRangeText(name, from, box.selectionStart, "end");
    box.dispatchEvent(new Event("input", { bubbles: true }));
    close();
  };
  const open = async (forced) => {
    const w = word();
    if (!forced && w.length < 2) return close();
    names ??= await fetchNames().catch(() => []);
    const lower = w.toLowerCase();
    items = names.filter((n) => n.toLowerCase().includes(lower) && n !== w)
      .sort((a, b) => Number(b.startsWith(w)) - Number(a.startsWith(w))).slice(0, SHOWN_MAX);
    if (items.length === 0 || document.activeElement !== box) return close();
    list.replaceChildren(...items.map((n, i) => {
      const li = document.createElement("li");
      li.id = `suggest-${i}`;
      li.role = "option";
      li.textContent = n;
      li.addEventListener("mousedown", (e) => {
        e.preventDefault();
        take(n);
      });
      return li;
    }));
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    mark(-1);
  };

  box.addEventListener("input", (e) => e.isTrusted && open(false));
  box.addEventListener("blur", close);
  return {
    forget: () => (names = null),
    // True when the key was used here.
    key: (e) => {
      if (e.ctrlKey && e.key === " ") {
        open(true);
        return true;
      }
      if (list.hidden) return false;
      if ((e.key === "ArrowDown" || e.key === "ArrowUp") && !e.ctrlKey) {
        const n = items.length;
        mark(e.key === "ArrowDown" ? (at + 1) % n : (at - 1 + n) % n);
        return true;
      }
      if ((e.key === "Enter" && !e.shiftKey && at >= 0) || (e.key === "Tab" && !e.shiftKey)) {
        take(items[Math.max(at, 0)]);
        return true;
      }
      if (e.key === "Escape") {
        close();
        return true;
      }
      return false;
    },
    close,
  };
}
