// A canvas that keeps strokes instead of pixels: they look sharp at any size, in any theme, and the
// server can scale them without loss. A stroke is a list of [x, y], shares of the canvas's side.
//
// Streamlit calls the exported function when the canvas appears and whenever `data` or the theme
// changes. `data` is {strokes, revision, turn, pen}: the drawing as the server has it, the number
// of the last drawing that it answered, a number that changes when the server puts another drawing
// into the canvas, and the width of the pen.

const PATIENCE = 2000; // ms; then an answer is taken as lost
const PAUSE = 120; // ms at least between two drawings sent during a stroke
const CLOSE = 0.003; // points closer than this tell nothing new

const boards = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  const board = boards.get(parentElement) ?? build(parentElement);
  boards.set(parentElement, board);
  board.post = (drawing) => setStateValue("drawing", drawing);
  board.pen = data.pen;
  if (board.turn !== data.turn) {
    Object.assign(board, { turn: data.turn, strokes: data.strokes, revision: data.revision });
    board.stroke = null;
  }
  if (data.revision >= board.revision) answered(board);
  draw(board);
  return () => board.sizes.disconnect();
}

function build(root) {
  const canvas = root.querySelector("canvas");
  const board = {
    canvas,
    hint: root.querySelector(".hint"),
    undo: root.querySelector(".undo"),
    clear: root.querySelector(".clear"),
    strokes: [],
    stroke: null, // the one being drawn, also the last of `strokes`
    revision: 0, // of the drawing sent last
    changed: false, // since then
    waiting: null, // timer of the answer to it
    at: 0, // when it was sent
    sizes: new ResizeObserver(() => draw(board)),
  };
  canvas.onpointerdown = (event) => begin(board, event);
  canvas.onpointermove = (event) => board.stroke && extend(board, event);
  canvas.onpointerup = canvas.onpointercancel = canvas.onlostpointercapture = () => end(board);
  board.undo.onclick = () => change(board, board.strokes.slice(0, -1));
  board.clear.onclick = () => change(board, []);
  board.sizes.observe(canvas);
  return board;
}

// --- drawing -------------------------------------------------------------------------------

function begin(board, event) {
  if (!event.isPrimary || event.button !== 0) return; // a second finger, another button
  event.preventDefault();
  board.canvas.setPointerCapture(event.pointerId); // the stroke goes on outside, until let go
  board.stroke = [];
  board.strokes = [...board.strokes, board.stroke];
  extend(board, event);
}

function extend(board, event) {
  const { left, top, width, height } = board.canvas.getBoundingClientRect();
  const between = event.getCoalescedEvents?.() ?? [];
  for (const { clientX, clientY } of between.length ? between : [event]) {
    const point = [share((clientX - left) / width), share((clientY - top) / height)];
    const last = board.stroke.at(-1);
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) >= CLOSE) {
      board.stroke.push(point);
      board.changed = true;
    }
  }
  draw(board);
  if (performance.now() - board.at > PAUSE) send(board);
}

function end(board) {
  if (!board.stroke) return;
  board.stroke = null;
  answered(board); // whatever is under way: a finished stroke goes at once
}

function change(board, strokes) {
  board.strokes = strokes;
  board.stroke = null;
  board.changed = true;
  draw(board);
  answered(board);
}

function share(value) {
  return Math.round(1e4 * Math.min(Math.max(value, 0), 1)) / 1e4;
}

// --- the server ----------------------------------------------------------------------------

// During a stroke one drawing at a time: the next is sent when the last was answered, so that a
// slow server or a slow line is never flooded, and always gets the newest drawing.
function send(board) {
  if (!board.changed || board.waiting) return;
  board.changed = false;
  board.revision += 1;
  board.at = performance.now();
  board.waiting = setTimeout(() => answered(board), PATIENCE);
  board.post({ strokes: board.strokes, revision: board.revision, turn: board.turn });
}

// Nothing is waited for any more.
function answered(board) {
  clearTimeout(board.waiting);
  board.waiting = null;
  if (!board.stroke) send(board); // during a stroke, its next point does
}

// --- the screen ----------------------------------------------------------------------------

function draw(board) {
  const { canvas, strokes } = board;
  board.hint.hidden = strokes.length > 0;
  board.undo.disabled = board.clear.disabled = strokes.length === 0;
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, side, side);
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  context.lineWidth = board.pen * side;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) line(context, stroke, side);
}

function line(context, stroke, side) {
  context.beginPath();
  if (stroke.length === 1) {
    context.arc(stroke[0][0] * side, stroke[0][1] * side, context.lineWidth / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  for (const [x, y] of stroke) context.lineTo(x * side, y * side);
  context.stroke();
}
