// Before the first paint: the colours that the viewer chose in this browser. Without a choice the system's count.
try {
  const chosen = localStorage.getItem('e3-scheme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is closed to us: the system's colours stay.
}
