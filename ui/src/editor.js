// The expression box: CodeMirror with PromQL. Enter runs, Shift+Enter begins a line, Tab takes what the list offers, and
// leaves the box when there is no list.
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionStatus, currentCompletions, moveCompletionSelection,
  startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { HighlightStyle, LRLanguage, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { parser } from "@prometheus-io/lezer-promql";
import { complete, hover, verdicts } from "./language.js";

const PLACEHOLDER = "PromQL expression";

const promql = LRLanguage.define({
  parser: parser.configure({ top: "PromQL" }),
  languageData: { closeBrackets: { brackets: ["(", "[", "{", '"', "'", "`"] }, commentTokens: { line: "#" }, autocomplete: complete },
});

const colours = HighlightStyle.define([
  { tag: [tags.operatorKeyword, tags.function(tags.variableName)], color: "var(--syn-call)", fontWeight: "600" },
  { tag: tags.modifier, color: "var(--syn-word)" },
  { tag: tags.logicOperator, color: "var(--syn-word)", fontWeight: "600" },
  { tag: tags.labelName, color: "var(--syn-label)" },
  { tag: tags.string, color: "var(--syn-string)" },
  { tag: tags.number, color: "var(--syn-number)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.operator, tags.arithmeticOperator, tags.paren, tags.squareBracket, tags.brace], color: "var(--muted)" },
]);

// Whether Enter takes the offered name: one that the arrows chose, or the first when the word is the beginning of a name
// but not one itself. A whole name, a number or a duration is run as it stands.
function enterAccepts(state, moved) {
  if (completionStatus(state) !== "active") return false;
  if (moved) return true;
  const { head } = state.selection.main;
  const word = state.sliceDoc(Math.max(0, head - 200), head).match(/[\w:.]+$/)?.[0] ?? "";
  return word !== "" && !/^\d/.test(word) && !currentCompletions(state).some((o) => o.label === word);
}

// Typing over a selection: left to the browser, Chromium gives the new text the style of the old in an attribute, which the
// page's policy refuses and reports. So it is done here, through the same handlers.
function typeOver(event, view) {
  const { from, to, empty } = view.state.selection.main;
  if (empty || view.composing || event.inputType !== "insertText" || !event.data || !event.cancelable) return false;
  const change = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  event.preventDefault();
  if (!view.state.facet(EditorView.inputHandler).some((h) => h(view, from, to, event.data, change))) view.dispatch(change());
  return true;
}

export function makeEditor(parent, { onRun, onChange, onHistory, onVerdict }) {
  let moved = false;
  const move = (forward, by) => (view) => {
    const used = moveCompletionSelection(forward, by)(view);
    moved = moved || used;
    return used;
  };
  const accept = (view) => acceptCompletion(view) || completionStatus(view.state) !== null;
  const enter = (view) => {
    if (enterAccepts(view.state, moved) && acceptCompletion(view)) return true;
    closeCompletion(view);
    onRun();
    return true;
  };
  const keys = [
    { key: "Ctrl-Space", run: startCompletion },
    { key: "Enter", run: enter, shift: insertNewlineAndIndent },
    { key: "Mod-Enter", run: (view) => (closeCompletion(view), onRun(), true) },
    { key: "Tab", run: accept },
    { key: "Escape", run: closeCompletion },
    { key: "ArrowDown", run: move(true) },
    { key: "ArrowUp", run: move(false) },
    { key: "PageDown", run: move(true, "page") },
    { key: "PageUp", run: move(false, "page") },
    { key: "Ctrl-ArrowUp", run: () => (onHistory(1), true) },
    { key: "Ctrl-ArrowDown", run: () => (onHistory(-1), true) },
  ];
  const view = new EditorView({
    parent,
    extensions: [
      Prec.highest(keymap.of(keys)),
      history(),
      drawSelection(),
      closeBrackets(),
      bracketMatching(),
      promql,
      syntaxHighlighting(colours),
      autocompletion({ defaultKeymap: false, icons: false, interactionDelay: 0, activateOnTypingDelay: 60, maxRenderedOptions: 100 }),
      verdicts(onVerdict),
      hover,
      placeholder(PLACEHOLDER),
      keymap.of([...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap.filter((k) => k.key !== "Alt-ArrowUp" && k.key !== "Alt-ArrowDown")]),
      EditorView.lineWrapping,
      EditorView.domEventHandlers({ beforeinput: typeOver }),
      EditorView.contentAttributes.of({ id: "expr", "aria-label": "PromQL expression", spellcheck: "false", autocapitalize: "off" }),
      EditorState.phrases.of({ "No diagnostics": "No errors" }),
      EditorView.updateListener.of((u) => {
        if (u.docChanged || completionStatus(u.state) === null) moved = false;
        if (u.docChanged) onChange();
      }),
    ],
  });
  return {
    get: () => view.state.doc.toString(),
    set: (text) => {
      if (text === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
    },
    close: () => closeCompletion(view),
    focus: () => view.focus(),
  };
}
