// Everything the page says, in two languages, and captions whose words can be swapped.

const EN = {
  rooms: "Rooms", draw: "Draw", look: "Look", train: "Train", language: "Language", key: "This server asks for a key", enter: "Enter",
  caption: "What to draw", pattern: "A caption with words to swap", free: "Caption", own_words: "My own words", word: "Word",
  candidates: "Candidates", seed: "Seed", any: "any", temperature: "Temperature", guidance: "Guidance", go: "Draw", stop: "Stop",
  restore: "Settings from a picture that limner drew: drop it here or choose it", drawing: "Drawing…", part: "{}% drawn",
  drawn: "{} pictures drawn in {} s, best first", stopped: "Stopped", more: "Show all {}", rank: "{}. {}", score: "fits {}", candidate: "candidate {}",
  chosen: "Number {}: {}", vary: "Vary", reuse: "Use its settings", download: "Download", close: "Close", facts: "seed {}, candidate {}, score {}",
  redraw: "Redraw a region", redraw_how: "Draw on the picture, or type numbers in pixels.", tool: "Tool", rectangle: "Rectangle", brush: "Brush", clear: "Clear",
  left: "Left", top: "Top", width: "Width", height: "Height", redraw_caption: "What it shall show", redraw_go: "Redraw", nothing_marked: "Mark a region first",
  history: "Drawn before", forget: "Forget these", restored: "Settings restored: {}", no_facts: "This picture does not say how it was drawn",
  classify: "What does a picture show?", drop: "Drop pictures here or choose them", labels: "Labels, with commas between", template: "Sentence around the label",
  template_plain: "The label alone", template_seven: "7 sentences", template_eighty: "80 sentences", look_go: "Look", looking: "Looking…", looked: "{} pictures looked at",
  choose_first: "Choose pictures and type labels first", search: "Search the folder", search_text: "A sentence", search_picture: "Or a picture like it",
  search_go: "Search", found: "{} of {} pictures", like: "More like {}", no_query: "Type a sentence or choose a picture first",
  no_runs: "No training folders here. Start the server with --runs FOLDER.", run: "Run", against: "Against", none: "none", curve: "Curve", log_scale: "Logarithmic",
  as_table: "The curve as a table", step: "Step", at_step: "{}: step {} of {}", chart: "{} by step", sample: "Sample sheet of {} at step {}",
  unreachable: "The server does not answer. Is it still running?", no_painter: "This server has no painter", no_looker: "This server has no CLIP",
};

const ZH = {
  rooms: "房间", draw: "画", look: "看", train: "训练", language: "语言", key: "此服务器需要密钥", enter: "进入",
  caption: "画什么", pattern: "可以换词的句子", free: "描述", own_words: "自己写", word: "词",
  candidates: "候选数", seed: "种子", any: "任意", temperature: "温度", guidance: "引导", go: "画", stop: "停止",
  restore: "把 limner 画的图片拖到这里或选择它，恢复其设置", drawing: "正在画…", part: "已画 {}%",
  drawn: "{} 张图片，用时 {} 秒，最好的在前", stopped: "已停止", more: "显示全部 {} 张", rank: "{}. {}", score: "符合度 {}", candidate: "候选 {}",
  chosen: "第 {} 张：{}", vary: "变化", reuse: "使用它的设置", download: "下载", close: "关闭", facts: "种子 {}，候选 {}，分数 {}",
  redraw: "重画一块区域", redraw_how: "在图上涂画，或输入像素数。", tool: "工具", rectangle: "矩形", brush: "画笔", clear: "清除",
  left: "左", top: "上", width: "宽", height: "高", redraw_caption: "应当画什么", redraw_go: "重画", nothing_marked: "请先标出区域",
  history: "以前画的", forget: "全部忘记", restored: "已恢复设置：{}", no_facts: "这张图片没有说明它是怎么画的",
  classify: "图片里是什么？", drop: "把图片拖到这里或选择图片", labels: "标签，用逗号分开", template: "标签所在的句子",
  template_plain: "只有标签", template_seven: "7 个句子", template_eighty: "80 个句子", look_go: "看", looking: "正在看…", looked: "看了 {} 张图片",
  choose_first: "请先选择图片并输入标签", search: "搜索文件夹", search_text: "一句话", search_picture: "或相似的图片",
  search_go: "搜索", found: "{} 张，共 {} 张图片", like: "更多类似 {}", no_query: "请先输入一句话或选择图片",
  no_runs: "这里没有训练文件夹。请用 --runs 文件夹 启动服务器。", run: "训练", against: "对比", none: "无", curve: "曲线", log_scale: "对数",
  as_table: "曲线的表格", step: "步", at_step: "{}：第 {} 步，共 {} 步", chart: "{} 随步数", sample: "{} 在第 {} 步的样张",
  unreachable: "服务器没有回答。它还在运行吗？", no_painter: "此服务器不能画", no_looker: "此服务器没有 CLIP",
};

const TABLES = { en: EN, zh: ZH };
export const LANGUAGES = Object.keys(TABLES);
let language = "en";

export function speak(name) { language = name in TABLES ? name : "en"; document.documentElement.lang = language; }
export function spoken() { return language; }

/** The text called `name`, with its {} filled in. */
export function say(name, ...values) {
  let text = TABLES[language][name] ?? EN[name] ?? name;
  for (const value of values) text = text.replace("{}", () => String(value));
  return text;
}

/** Put the language into everything that is marked for it. */
export function translate(root = document) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = say(node.dataset.t);
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of root.querySelectorAll("[data-placeholder]")) node.placeholder = say(node.dataset.placeholder);
}

const COLOURS = ["red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white"];
const ANIMALS = ["cat", "dog", "rabbit", "bear", "penguin", "hedgehog"];
const THINGS = ["cube", "ball", "cone", "star", "heart", "house", "boat", "tree"];
const ZH_COLOURS = ["红色", "蓝色", "绿色", "黄色", "橙色", "紫色", "粉色", "棕色", "黑色", "白色"];
const ZH_ANIMALS = ["猫", "狗", "兔子", "熊", "企鹅", "刺猬"];

/** Captions as lists: a text stays, a list is swapped; the first word of a list is the one that stands there. */
export const PATTERNS = {
  en: [
    ["a ", ["cat", ...ANIMALS.slice(1)], " wearing a ", COLOURS, " ", ["hat", "shirt", "scarf"]],
    ["a ", ["red", ...COLOURS.slice(1)], " ", THINGS, " ", ["to the left of", "to the right of", "above", "below"], " a ", ["blue", "red", "green", "yellow", "white"], " ", ["ball", "cube", "cone", "star", "heart"]],
    [["two", "three", "four"], " ", ["penguins", "cats", "dogs", "rabbits", "stars", "hearts", "boats"]],
    ["a ", ["small", "medium", "large"], " ", COLOURS, " ", ["star", "cube", "ball", "heart", "boat", "tree"]],
    ["a ", ANIMALS, " to the right of an orange ", ["dog", "cat", "bear", "rabbit"]],
  ],
  zh: [
    ["一只戴着一顶", ZH_COLOURS, "帽子的", ZH_ANIMALS],
    ["一艘", ZH_COLOURS, "的船"],
    ["一只", ["绿色", ...ZH_COLOURS.filter((one) => one !== "绿色")], "的", ZH_ANIMALS],
  ],
};
