// Well-formed HTML as blocks of text and the elements that hold them.
//
// groundup.curate.extract.page has the reference in Python, and says what the numbers are.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "words.h"

namespace groundup {

// Names of elements by what is done with them, and words in their attributes.
struct PageTables {
  std::vector<std::string> tags; // that are told apart; the first stands for all others
  std::unordered_set<std::string> in_line, empty, raw, skipped;
  std::vector<std::vector<std::string>> hints;
};

struct Page {
  static constexpr int COUNTS = 9;
  std::vector<std::string> texts;
  std::vector<std::int32_t> element, counts, parent, tag, hints, first, last;
};

class PageScanner {
public:
  explicit PageScanner(const PageTables &tables) : tables_(tables) {
    for (std::size_t i = 0; i < tables.tags.size(); i++) {
      numbers_[tables.tags[i]] = std::int32_t(i);
      if (tables.tags[i] == "pre") pre_ = std::int32_t(i);
    }
    for (std::size_t hint = 0; hint < tables.hints.size(); hint++)
      for (const std::string &word : tables.hints[hint]) words_[u8(word[0])].push_back({word, 1 << hint});
    hidden_ = 1 << tables.hints.size();
  }

  Page scan(std::string_view html) {
    html_ = html;
    open_element(0, 0, -1);
    std::size_t at = 0;
    while (at < html.size()) {
      if (html[at] != '<') {
        const std::size_t end = std::min(html.find('<', at), html.size());
        text(html.substr(at, end - at));
        at = end;
      } else if (html.compare(at, 4, "<!--") == 0) {
        const std::size_t end = html.find("-->", at + 4);
        at = end == html.npos ? at + 1 : end + 3;
      } else if (html.compare(at, 2, "<!") == 0) {
        const std::size_t end = html.find('>', at);
        at = end == html.npos ? at + 1 : end + 1;
      } else {
        at = markup(at);
      }
    }
    block();
    while (!open_.empty()) close_element();
    return std::move(page_);
  }

private:
  struct Word {
    std::string word;
    std::int32_t hint;
  };

  static bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
  static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f'); }

  // Reads what begins with '<', and returns where it ends.
  std::size_t markup(std::size_t at) {
    std::size_t name = at + 1;
    const bool closes = name < html_.size() && html_[name] == '/';
    name += closes;
    if (name >= html_.size() || !is_letter(html_[name])) return at + 1;
    std::size_t end = name;
    while (end < html_.size() && !is_blank(html_[end]) && html_[end] != '>') end++;
    std::size_t stop = end; // of the attributes, whose values may hold '>'
    while (stop < html_.size() && html_[stop] != '>')
      stop = html_[stop] == '"' ? std::min(html_.find('"', stop + 1), html_.size() - 1) + 1 : stop + 1;
    if (stop >= html_.size()) return at + 1;
    name_.assign(html_.substr(name, end - name));
    const std::string_view attributes = html_.substr(end, stop - end);
    stop++;
    if (tables_.raw.count(name_)) return closes ? stop : raw(attributes, stop);
    if (tables_.empty.count(name_)) {
      if (skipping_ == 0 && (name_ == "br" || name_ == "hr")) line_end(name_ == "hr");
    } else if (skipping_ > 0) {
      if (formula_ == Formula::sought && !closes && name_ == "annotation" &&
          attributes.find("=\"application/x-tex\"") != attributes.npos)
        formula_ = Formula::found;
      skipping_ += closes ? -1 : 1;
      if (skipping_ == 0) formula_ = Formula::none;
    } else if (tables_.skipped.count(name_)) {
      if (!closes) {
        skipping_ = 1;
        if (name_ == "math") begin_formula(attributes);
      }
    } else if (tables_.in_line.count(name_)) {
      if (name_ == "a") links_ += closes ? -1 : 1;
    } else if (closes) {
      block();
      if (open_.size() > 1) close_element();
    } else {
      block();
      const auto number = numbers_.find(name_);
      open_element(number == numbers_.end() ? 0 : number->second, hints_of(attributes), open_.back());
    }
    return stop;
  }

  // Of an element whose contents are not markup; those of some scripts are a formula in TeX.
  std::size_t raw(std::string_view attributes, std::size_t begin) {
    const std::string close = "</" + name_ + ">";
    const std::size_t end = html_.find(close, begin);
    if (end == html_.npos) return begin;
    if (skipping_ == 0 && attributes.find("type=\"math/tex") != attributes.npos)
      text(" $" + std::string(html_.substr(begin, end - begin)) + "$ ");
    return end + close.size();
  }

  void begin_formula(std::string_view attributes) {
    formula_ = Formula::sought;
    each_attribute(attributes, [&](std::string_view name, std::string_view value) {
      if (name != "alttext" || value.empty()) return;
      piece(" $" + std::string(value) + "$ ");
      formula_ = Formula::none;
    });
  }

  template <typename Each> static void each_attribute(std::string_view text, const Each &each) {
    for (std::size_t at = 0; at < text.size();) {
      while (at < text.size() && (is_blank(text[at]) || text[at] == '"' || text[at] == '=')) at++;
      const std::size_t name = at;
      while (at < text.size() && !is_blank(text[at]) && text[at] != '=' && text[at] != '"') at++;
      if (at + 1 >= text.size() || text[at] != '=' || text[at + 1] != '"') continue;
      const std::size_t value = at + 2, end = text.find('"', value);
      if (end == text.npos) return;
      each(text.substr(name, at - name), text.substr(value, end - value));
      at = end + 1;
    }
  }

  std::int32_t hints_of(std::string_view attributes) {
    std::int32_t bits = 0;
    each_attribute(attributes, [&](std::string_view name, std::string_view value) {
      if (name == "class" || name == "id" || name == "role" || name == "itemprop" || name == "data-component") {
        lower_.assign(value);
        for (char &c : lower_)
          if (c >= 'A' && c <= 'Z') c = char(c + 32);
        for (std::size_t at = 0; at < lower_.size(); at++)
          for (const Word &word : words_[u8(lower_[at])])
            if (!(bits & word.hint) && lower_.compare(at, word.word.size(), word.word) == 0) bits |= word.hint;
      } else if (name == "hidden") {
        bits |= hidden_;
      } else if (name == "style") {
        lower_.assign(value);
        lower_.erase(std::remove(lower_.begin(), lower_.end(), ' '), lower_.end());
        if (lower_.find("display:none") != lower_.npos) bits |= hidden_;
      }
    });
    return bits;
  }

  void open_element(std::int32_t tag, std::int32_t hints, std::int32_t parent) {
    open_.push_back(std::int32_t(page_.parent.size()));
    page_.parent.push_back(parent), page_.tag.push_back(tag), page_.hints.push_back(hints);
    page_.first.push_back(std::int32_t(page_.texts.size())), page_.last.push_back(0);
  }

  void close_element() {
    page_.last[std::size_t(open_.back())] = std::int32_t(page_.texts.size());
    open_.pop_back();
  }

  bool in_pre() const { return page_.tag[std::size_t(open_.back())] == pre_; }

  void text(std::string_view raw) {
    if (skipping_ == 0) {
      piece(raw);
    } else if (formula_ == Formula::found) {
      formula_ = Formula::none;
      piece(" $" + std::string(raw) + "$ ");
    }
  }

  void piece(std::string_view raw) {
    const std::size_t begin = pieces_.size();
    const bool pre = in_pre();
    for (std::size_t at = 0; at < raw.size(); at++) {
      char c = raw[at];
      if (c == '&') {
        static constexpr struct {
          std::string_view name, character;
        } REFERENCES[] = {{"&nbsp;", "\u00a0"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}};
        bool known = false;
        for (const auto &reference : REFERENCES)
          if (raw.compare(at, reference.name.size(), reference.name) == 0) {
            pieces_ += reference.character;
            at += reference.name.size() - 1;
            known = true;
            break;
          }
        if (known) continue;
      }
      pieces_ += c == '\n' && !pre ? ' ' : c;
    }
    const std::int32_t visible = count_visible(std::string_view(pieces_).substr(begin));
    if (visible) breaks_ = 0;
    if (links_) linked_ += visible;
  }

  void line_end(bool rule) {
    breaks_++;
    if (rule || (breaks_ > 1 && !in_pre())) block();
    else pieces_ += '\n';
  }

  // Calls each(point, bytes, white) for every character.
  template <typename Each> static void each_point(std::string_view text, const Each &each) {
    const u8 *const bytes = reinterpret_cast<const u8 *>(text.data());
    for (std::size_t at = 0; at < text.size();) {
      int size = 1;
      const u32 point = bytes[at] < 0x80 ? bytes[at] : foreign_point(bytes + at, size);
      each(point, text.substr(at, std::size_t(size)),
           point < 0x80 ? is_blank(char(point)) : is_foreign_white(point));
      at += std::size_t(size);
    }
  }

  static std::int32_t count_visible(std::string_view text) {
    std::int32_t count = 0;
    each_point(text, [&](u32, std::string_view, bool white) { count += !white; });
    return count;
  }

  void block() {
    block_.clear();
    if (in_pre()) {
      std::size_t begin = 0, end = pieces_.size();
      while (begin < end && pieces_[begin] == '\n') begin++;
      while (end > begin && pieces_[end - 1] == '\n') end--;
      if (count_visible(pieces_)) block_ = pieces_.substr(begin, end - begin);
    } else {
      char between = 0; // before the next character that is visible
      each_point(pieces_, [&](u32 point, std::string_view bytes, bool white) {
        if (point == '\n') {
          between = '\n';
        } else if (white) {
          if (!between) between = ' ';
        } else {
          if (between && !block_.empty()) block_ += between;
          between = 0;
          block_ += bytes;
        }
      });
    }
    if (!block_.empty()) {
      page_.element.push_back(open_.back());
      count(block_);
      page_.texts.push_back(block_);
    }
    pieces_.clear(), linked_ = 0, breaks_ = 0;
  }

  void count(const std::string &text) {
    std::int32_t visible = 0, words = 0, commas = 0, stops = 0, capitals = 0, digits = 0;
    u32 begins = 0, ends = 0;
    each_point(text, [&](u32 point, std::string_view, bool white) {
      visible += !white;
      if (!begins) begins = point;
      ends = point;
      commas += point == ',' || point == ';' || point == 0x3001 || point == 0x60C || point == 0xFF0C;
      stops += is_stop(point);
      capitals += is_capital(point), digits += is_digit(point);
    });
    const u8 *const from = reinterpret_cast<const u8 *>(text.data());
    each_word<true>(from, from + text.size(), [&](const u8 *, i64) { words++; });
    const bool finished = is_stop(ends) || ends == ':' || ends == '"' || ends == 0x201D || ends == 0x2019 ||
                          ends == 0xBB || ends == ')';
    const std::int32_t counts[Page::COUNTS] = {visible, std::min(linked_, visible), words, commas, stops, capitals,
                                               digits, is_capital(begins) || is_digit(begins), finished};
    page_.counts.insert(page_.counts.end(), counts, counts + Page::COUNTS);
  }

  static bool is_capital(u32 point) { return point >= 'A' && point <= 'Z'; }
  static bool is_digit(u32 point) { return point >= '0' && point <= '9'; }
  static bool is_stop(u32 point) {
    return point == '.' || point == '!' || point == '?' || point == 0x3002 || point == 0xFF01 ||
           point == 0xFF1F || point == 0x2026;
  }

  enum class Formula { none, sought, found };

  const PageTables &tables_;
  std::unordered_map<std::string, std::int32_t> numbers_;
  std::vector<Word> words_[256]; // by their first byte
  std::int32_t pre_ = -1, hidden_;

  std::string_view html_;
  Page page_;
  std::vector<std::int32_t> open_; // elements that are not in a line, the innermost last
  std::string name_, lower_, pieces_, block_;
  std::int32_t linked_ = 0, links_ = 0, breaks_ = 0, skipping_ = 0;
  Formula formula_ = Formula::none;
};

} // namespace groundup
