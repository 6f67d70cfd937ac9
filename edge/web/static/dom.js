// Every text is set as text; nothing is HTML.
export const byId = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function setText(element, text) {
  // What did not change is not announced again.
  if (element.textContent !== text) element.textContent = text;
}
