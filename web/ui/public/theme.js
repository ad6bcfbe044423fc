// Sets the theme and the frame before anything is drawn; a file of its own, because the policy forbids inline code.
(function () {
  var root = document.documentElement;
  var choice = null;
  try {
    choice = localStorage.getItem("tallymark.theme");
  } catch (error) {
    // Storage may be closed to us; then the system's theme decides.
  }
  var asked = /[?&]theme=(light|dark)/.exec(location.hash) || /[?&]theme=(light|dark)/.exec(location.search);
  if (asked) choice = asked[1];
  if (choice !== "light" && choice !== "dark") {
    choice = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  root.dataset.theme = choice;
  // A shared dashboard and a wall of figures have no navigation, not even while they load.
  if (/^\/embed\//.test(location.pathname) || /[?&]kiosk=1/.test(location.hash)) root.dataset.bare = "";
})();
