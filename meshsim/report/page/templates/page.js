(function () {
  "use strict";
  var table = document.getElementById("table-trade-offs");
  if (!table || !table.querySelector("tr.decided")) { return; }
  var button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.textContent = "Show only rows with a difference beyond chance";
  button.addEventListener("click", function () {
    var on = table.classList.toggle("only-decided");
    button.setAttribute("aria-pressed", String(on));
  });
  table.parentNode.parentNode.insertBefore(button, table.parentNode);
}());
