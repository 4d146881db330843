"use strict";
// Sorts the table by the column whose heading is pressed: once from the largest, again from the
// smallest, a third time as it was. The page is whole without this.
(() => {
  const table = document.getElementById("results");
  if (!table || table.tBodies.length < 2) return;
  const bodies = Array.from(table.tBodies);
  const heads = Array.from(table.tHead.rows[0].cells);
  const foot = table.tFoot;
  const key = (body, column) => {
    const cell = body.rows[0].cells[column];
    if (column === 0) return cell.textContent;
    return cell.hasAttribute("data-value") ? Number(cell.getAttribute("data-value")) : NaN;
  };
  const compare = (column, sign) => (a, b) => {
    const [x, y] = [key(a, column), key(b, column)];
    if (column === 0) return sign * x.localeCompare(y, undefined, { numeric: true });
    // Undefined figures stay last in either direction.
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const order = column === 0 ? ["ascending", "descending"] : ["descending", "ascending"];
    button.addEventListener("click", () => {
      const next = order[order.indexOf(head.getAttribute("aria-sort")) + 1];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      const sorted = Array.from(bodies);
      if (next) {
        head.setAttribute("aria-sort", next);
        sorted.sort(compare(column, next === "ascending" ? 1 : -1));
      }
      sorted.forEach((body) => table.insertBefore(body, foot));
    });
  });
})();
