// Filters of the table of verdicts. Without this script every row is shown.
const form = document.getElementById("filters");
const search = document.getElementById("search");
const buttons = [...form.querySelectorAll("button[aria-pressed]")];
const rows = [...document.querySelectorAll("table.verdicts tbody tr")];

function pressed(name) {
  return buttons
    .filter((button) => name in button.dataset && button.getAttribute("aria-pressed") === "true")
    .map((button) => button.dataset[name]);
}

function apply() {
  const verdicts = pressed("verdict");
  const documents = pressed("document");
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const judged = row.dataset.judged.split(" ").map((pair) => pair.split(":"));
    const fits =
      judged.some(
        ([document, verdict]) =>
          (!verdicts.length || verdicts.includes(verdict)) &&
          (!documents.length || documents.includes(document)),
      ) &&
      words.every((word) => row.dataset.text.includes(word));
    row.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length} claims shown`;
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("click", (event) => {
  const button = event.target.closest("button[aria-pressed]");
  if (!button) return;
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  apply();
});
form.addEventListener("reset", () => {
  for (const button of buttons) button.setAttribute("aria-pressed", "false");
  search.value = "";
  apply();
});
search.addEventListener("input", apply);
form.hidden = false;
apply();
