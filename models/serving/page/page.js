// Every word that comes from a file or from the service is set as text, never as HTML.
"use strict";

const at = (id) => document.getElementById(id);
const percent = (p) => (100 * p).toFixed(p > 0.001 && p < 0.999 ? 1 : 3) + " %";
let limits = null;
let token = "";

const sentence = (words) => words[0].toUpperCase() + words.slice(1);
const say = (words) => { at("status").textContent = words; };

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) { at("key").hidden = false; at("token").focus(); }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

async function greet() {
  try {
    limits = await ask("v1/model");
    at("key").hidden = true;
    at("model").textContent = `Detector ${limits.model}, checkpoint ${limits.checkpoint_sha256.slice(0, 12)}.`;
    at("limits").textContent =
      `Audio or the sound of a video, up to ${limits.max_upload_mb} MB and ${limits.max_seconds} s each.`;
  } catch (error) { at("model").textContent = error.message; }
}

function makeCard(file) {
  const card = at("card").content.cloneNode(true).querySelector("article");
  const sound = card.querySelector("audio");
  sound.src = URL.createObjectURL(file);
  sound.setAttribute("aria-label", `Listen to ${file.name}`);
  sound.addEventListener("error", () => { sound.hidden = true; });
  card.querySelector("h3").textContent = file.name;
  const close = card.querySelector(".close");
  close.setAttribute("aria-label", `Remove ${file.name}`);
  close.addEventListener("click", () => {
    URL.revokeObjectURL(sound.src);
    card.remove();
    at("files").focus();
  });
  card.classList.add("busy");
  card.querySelector(".word").textContent = "Listening ...";
  card.querySelector(".where").addEventListener("click", () => locate(card, file));
  for (const part of [".scale", ".figures", ".links"]) card.querySelector(part).hidden = true;
  at("results").prepend(card);
  return card;
}

const WORDS = { real: "Likely real", fake: "Likely fake", "no speech": "No speech was found" };

function show(card, answer) {
  const [first, ...others] = answer.verdicts;
  const place = (found) => (found.channel === "mix" ? "" : `${found.channel}: `);
  const kind = first.verdict === "no speech" ? "none" : first.verdict;
  card.classList.replace("busy", kind);
  card.querySelector(".word").textContent = place(first) + WORDS[first.verdict];
  const scale = card.querySelector(".scale");
  scale.hidden = kind === "none";
  scale.setAttribute("aria-label",
    `Probability of real ${percent(first.p_real)}; from ${percent(answer.threshold)} on the verdict is real`);
  scale.querySelector(".needle").style.left = `${100 * first.p_real}%`;
  scale.querySelector(".mark").style.left = `${100 * answer.threshold}%`;
  const figures = card.querySelector(".figures");
  figures.hidden = false;
  figures.textContent = [first, ...others].map((found, n) =>
    `${n ? `${place(found)}${WORDS[found.verdict]}, ` : ""}P(real) ${percent(found.p_real)}, ${found.seconds.toFixed(2)} s`).join("; ");
  const remarks = answer.verdicts.map((found) => found.remark && place(found) + found.remark)
    .concat(answer.left_out.map((out) => `${out.channel}: ${out.reason}`)).filter(Boolean);
  const remark = card.querySelector(".remark");
  remark.hidden = !remarks.length;
  remark.textContent = `Note: ${remarks.join("; ")}`;
  card.querySelector(".basis").textContent =
    `${sentence(answer.basis)}. Threshold: ${answer.threshold_origin}.`;
  offer(card, ".json", JSON.stringify(answer, null, 2), answer.name, "json", "application/json");
  card.querySelector(".links").hidden = false;
}

function offer(card, selector, content, name, end, type) {
  const link = card.querySelector(selector);
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `${name.replace(/[^\w.-]+/g, "_")}.${end}`;
}

function send(path, file) {
  const form = new FormData();
  form.append("file", file, file.name);
  return ask(path, { method: "POST", body: form });
}

const LEFT = 0.07, RIGHT = 0.985;  // of the axes in the picture's width (models/scoring/timeline_picture.py)

async function locate(card, file) {
  const button = card.querySelector(".where");
  button.disabled = true;
  say(`Looking where in ${file.name}`);
  try {
    const found = await send("v1/timeline", file);
    button.hidden = true;
    showTimeline(card, found);
    const fake = found.segments.filter((segment) => segment.verdict === "fake").length;
    say(`${file.name}: segments ${found.segments.length}, judged fake ${fake}`);
  } catch (error) {
    button.disabled = false;
    say(`${file.name}: no timeline, ${error.message}`);
  }
}

function showTimeline(card, found) {
  const { picture, labels, ...rest } = found;
  const sound = card.querySelector("audio");
  const play = (seconds) => { sound.currentTime = seconds; sound.play(); };
  const list = card.querySelector(".segments");
  for (const segment of found.segments) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `small ${segment.verdict}`;
    button.textContent = `${segment.start.toFixed(2)} to ${segment.stop.toFixed(2)} s: ${WORDS[segment.verdict].toLowerCase()}`;
    button.addEventListener("click", () => play(segment.start));
    list.append(document.createElement("li"));
    list.lastChild.append(button);
  }
  const image = card.querySelector(".picture img");
  image.src = `data:image/png;base64,${picture}`;
  image.alt = "Waveform, spectrogram and the detector's curve over time; the segments are listed below";
  image.addEventListener("click", (event) => {
    const x = event.offsetX / image.clientWidth;
    play(Math.max(0, Math.min(1, (x - LEFT) / (RIGHT - LEFT))) * found.duration);
  });
  const now = card.querySelector(".now");
  sound.addEventListener("timeupdate", () => {
    now.hidden = false;
    now.style.left = `${100 * (LEFT + (RIGHT - LEFT) * sound.currentTime / found.duration)}%`;
  });
  card.querySelector(".note").textContent = found.note;
  const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
  offer(card, ".timeline-json", JSON.stringify(rest), rest.file, "timeline.json", "application/json");
  offer(card, ".labels", labels, rest.file, "labels.txt", "text/plain");
  offer(card, ".png", bytes, rest.file, "png", "image/png");
  card.querySelector(".timeline").hidden = false;
}

async function score(file) {
  const card = makeCard(file);
  say(`Listening to ${file.name}`);
  try {
    if (limits && file.size > 1e6 * limits.max_upload_mb)
      throw new Error(`the upload is larger than ${limits.max_upload_mb} MB (max_upload_mb)`);
    const answer = await send("v1/score", file);
    show(card, answer);
    const first = answer.verdicts[0];
    say(`${file.name}: ${WORDS[first.verdict]}, probability of real ${percent(first.p_real)}`);
  } catch (error) {
    card.classList.replace("busy", "none");
    card.querySelector(".word").textContent = "No verdict";
    const remark = card.querySelector(".remark");
    remark.hidden = false;
    remark.textContent = error.message;
    say(`${file.name}: no verdict, ${error.message}`);
  }
}

const scoreAll = (files) => Promise.all([...files].map(score));

let recorder = null;
async function record() {
  const button = at("record");
  if (recorder) { recorder.stop(); return; }
  let stream;
  try { stream = await navigator.mediaDevices.getUserMedia({ audio: true }); } catch (error) {
    say(`The microphone cannot be used: ${error.message}`);
    return;
  }
  const pieces = [];
  const begun = new Date();
  recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    stream.getTracks().forEach((track) => track.stop());
    const end = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
    recorder = null;
    button.textContent = "Record";
    button.setAttribute("aria-pressed", "false");
    score(new File(pieces, `recording ${begun.toLocaleTimeString()}.${end}`, { type: pieces[0]?.type }));
  });
  recorder.start();
  button.textContent = "Stop and score";
  button.setAttribute("aria-pressed", "true");
  say("Recording");
}

at("files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";  // the same file may be chosen again
  scoreAll(files);
});
at("record").addEventListener("click", record);
at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value;
  greet();
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();  // dropped beside the place, a file would replace the page
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") scoreAll(event.dataTransfer.files);
  });
}
if (!navigator.mediaDevices || !window.MediaRecorder) at("record").hidden = true;
greet();
