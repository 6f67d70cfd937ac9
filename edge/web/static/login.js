// The link that edge-live prints has the token behind #, which no server is told and no log keeps.
const form = document.querySelector("form");
const { hash, search } = location;
document.getElementById("wrong").hidden = search !== "?wrong";
if (hash.length > 1) {
  history.replaceState(null, "", "login");
  form.elements.token.value = hash.slice(1);
  form.submit();
}
