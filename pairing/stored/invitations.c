/* SPDX-License-Identifier: Apache-2.0 */
/* The stored invitations; see invitations.h. */
#include "stored/invitations.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mutant.h"

#define FILE_NAME "invitations"
#define BACKUP FILE_NAME ".bak"

#define HEADING "peernet invitations 1\n"
#define PORT "port "
#define INVITATION "invitation "
#define JOINER "joiner "
#define END "end\n"

enum {
    ID_HEX = 2 * PN_INVITATION_ID_LEN,
    KEY_HEX = 2 * PN_KEY_LEN,
    ENCODED_CAP = 3 * PN_LABEL_MAX + 2,
    LINE_CAP = 1280,
    /* An invitation's line and its joiners'. */
    ENTRY_MAX = LINE_CAP + PN_INVITATION_USES_MAX * 80,
    FILE_MAX = 64 + PN_INVITATIONS_MAX * ENTRY_MAX
};

pn_invitation_list *pn_invitation_list_new(void)
{
    return pn_secure_alloc(sizeof(pn_invitation_list));
}

void pn_invitation_list_free(pn_invitation_list *list)
{
    pn_secure_free(list, sizeof(*list));
}

/* ---- what one amounts to ---------------------------------------------------
 */

pn_invitation_state pn_invitation_get_state(
    const pn_stored_invitation *invitation, int64_t now_s)
{
    if (PN_REFUSE_IF(invitation_cancelled, invitation->is_cancelled)) {
        return PN_INVITATION_CANCELLED;
    }
    if (PN_REFUSE_IF(invitation_expired, now_s >= invitation->until_s)) {
        return PN_INVITATION_EXPIRED;
    }
    return PN_REFUSE_IF(invitation_used, invitation->uses == 0)
               ? PN_INVITATION_USED
               : PN_INVITATION_OPEN;
}

static bool may_come_back(const pn_stored_invitation *invitation)
{
    for (size_t i = 0; i < invitation->n_joiners; i++) {
        if (!invitation->joiners[i].is_stored) {
            return true;
        }
    }
    return false;
}

/* True while its key is of use to somebody. */
static bool is_live(const pn_stored_invitation *invitation, int64_t now_s)
{
    const pn_invitation_state state = pn_invitation_get_state(
        invitation, now_s);

    return state == PN_INVITATION_OPEN
           || (state == PN_INVITATION_USED && may_come_back(invitation));
}

static pn_stored_invitation *find_id(
    pn_invitation_list *list, const uint8_t *id)
{
    for (size_t i = 0; i < list->n; i++) {
        if (memcmp(list->entries[i].id, id, PN_INVITATION_ID_LEN) == 0) {
            return &list->entries[i];
        }
    }
    return NULL;
}

pn_invitation_state pn_invitation_state_of(pn_invitation_list *list,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s)
{
    const pn_stored_invitation *invitation = find_id(list, id);

    return invitation == NULL ? PN_INVITATION_UNKNOWN
                              : pn_invitation_get_state(invitation, now_s);
}

bool pn_invitation_is_live(pn_invitation_list *list,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s)
{
    const pn_stored_invitation *invitation = find_id(list, id);

    return invitation != NULL && is_live(invitation, now_s);
}

static pn_invitation_joiner *find_joiner(
    pn_stored_invitation *invitation, const pn_public_key *key)
{
    for (size_t i = 0; i < invitation->n_joiners; i++) {
        if (pn_key_equal(&invitation->joiners[i].key, key)) {
            return &invitation->joiners[i];
        }
    }
    return NULL;
}

/* ---- reading ---------------------------------------------------------------
 */

/* The rest of the file. */
typedef struct lines {
    const char *at;
    const char *end;
} lines;

static bool take(lines *l, const char *text)
{
    const size_t n = strlen(text);

    if ((size_t)(l->end - l->at) < n || memcmp(l->at, text, n) != 0) {
        return false;
    }
    l->at += n;
    return true;
}

/* The word before this character, which is taken as well; NULL: there is none
 * of 1 to max bytes. */
static const char *take_word(lines *l, char until, size_t max, size_t *ret_len)
{
    const char *word = l->at;
    const size_t left = (size_t)(l->end - word);
    const char *end =
        left == 0 ? NULL : memchr(word, until, left < max + 1 ? left : max + 1);

    if (end == NULL || end == word) {
        return NULL;
    }
    l->at = end + 1;
    *ret_len = (size_t)(end - word);
    return word;
}

static bool is_dash(const char *word, size_t len)
{
    return len == 1 && word[0] == '-';
}

static bool take_number(lines *l, char until, int64_t max, int64_t *ret_number)
{
    size_t len;
    const char *word = take_word(l, until, 12, &len);
    int64_t value = 0;

    if (word == NULL || (len > 1 && word[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (word[i] < '0' || word[i] > '9') {
            return false;
        }
        value = 10 * value + (word[i] - '0');
    }
    *ret_number = value;
    return value <= max;
}

static bool take_id(lines *l, uint8_t *ret_id)
{
    size_t len;
    const char *word = take_word(l, ' ', ID_HEX, &len);

    return word != NULL && len == ID_HEX
           && pn_hex_read(word, PN_INVITATION_ID_LEN, ret_id);
}

static bool take_secret_key(lines *l, pn_stored_invitation *invitation)
{
    size_t len;
    const char *word = take_word(l, ' ', KEY_HEX, &len);

    if (word == NULL || is_dash(word, len)) {
        return word != NULL;
    }
    invitation->has_key = true;
    return len == KEY_HEX
           && pn_hex_read(word, PN_KEY_LEN, invitation->key.bytes);
}

/* A role or a label. "-" alone is none, and a text that is a dash is none. */
static bool take_text(lines *l, char until, char *ret_text, size_t cap)
{
    size_t len;
    const char *word = take_word(l, until, ENCODED_CAP, &len);

    if (word == NULL || is_dash(word, len)) {
        return word != NULL;
    }
    return pn_percent_take(word, len, ret_text, cap)
           && pn_label_is_valid(ret_text);
}

static bool take_state(lines *l, pn_stored_invitation *invitation)
{
    invitation->is_cancelled = take(l, "cancelled ");
    return invitation->is_cancelled || take(l, "open ");
}

static bool take_invitation(lines *l, pn_stored_invitation *invitation)
{
    int64_t uses = 0;

    if (!take_id(l, invitation->id) || !take_secret_key(l, invitation)
        || !take_number(l, ' ', INT64_C(999999999999), &invitation->until_s)
        || !take_number(l, ' ', PN_INVITATION_USES_MAX, &uses)
        || !take_state(l, invitation)) {
        return false;
    }
    invitation->uses = (uint8_t)uses;
    return take_text(l, ' ', invitation->role, sizeof(invitation->role))
           && take_text(l, '\n', invitation->label, sizeof(invitation->label));
}

static bool take_joiner(lines *l, pn_stored_invitation *invitation)
{
    char text[PN_BASE32_LEN + 1] = "";
    pn_invitation_joiner *joiner = &invitation->joiners[invitation->n_joiners];
    size_t len;
    const char *word = take_word(l, ' ', PN_BASE32_LEN, &len);

    if (word == NULL || len != PN_BASE32_LEN) {
        return false;
    }
    memcpy(text, word, len);
    joiner->is_stored = take(l, "stored\n");
    invitation->n_joiners++;
    return (joiner->is_stored || take(l, "taken\n"))
           && pn_key_parse(text, &joiner->key) == PN_OK;
}

static bool take_entries(lines *l, pn_invitation_list *list)
{
    while (take(l, INVITATION)) {
        pn_stored_invitation *invitation = &list->entries[list->n];

        if (list->n == PN_INVITATIONS_MAX || !take_invitation(l, invitation)) {
            return false;
        }
        list->n++;
        while (take(l, JOINER)) {
            if (invitation->n_joiners == PN_INVITATION_USES_MAX
                || !take_joiner(l, invitation)) {
                return false;
            }
        }
    }
    return true;
}

static bool take_all(lines *l, pn_invitation_list *list)
{
    int64_t port = 0;

    if (!take(l, HEADING) || !take(l, PORT)
        || !take_number(l, '\n', UINT16_MAX, &port)) {
        return false;
    }
    list->port = (uint16_t)port;
    return take_entries(l, list) && take(l, END) && l->at == l->end;
}

pn_err pn_invitations_parse(const uint8_t *data, size_t len,
    pn_invitation_list *ret_list, const char **ret_why)
{
    const char *start = len == 0 ? "" : (const char *)data;
    lines l = {.at = start, .end = start + len};

    if (!take_all(&l, ret_list)) {
        pn_wipe(ret_list, sizeof(*ret_list));
        *ret_why = "it is not what peernet writes";
        return PN_CORRUPT;
    }
    return PN_OK;
}

/* ---- writing ---------------------------------------------------------------
 */

static pn_err append(pn_buf *out, const char *text)
{
    return pn_buf_append(out, text, strlen(text));
}

static void encode(const char *text, char ret_text[static ENCODED_CAP])
{
    size_t used = 0;

    /* A lone dash would read as none, and is none worth keeping. */
    if (text[0] == '\0'
        || !pn_percent_append(text, ret_text, ENCODED_CAP, &used)) {
        (void)snprintf(ret_text, ENCODED_CAP, "-");
    }
}

static pn_err append_joiner(pn_buf *out, const pn_invitation_joiner *joiner)
{
    char key[PN_BASE32_LEN + 1];
    char line[PN_BASE32_LEN + 32];

    pn_key_to_base32(&joiner->key, key);
    (void)snprintf(line, sizeof(line), JOINER "%s %s\n", key,
        joiner->is_stored ? "stored" : "taken");
    return append(out, line);
}

static pn_err append_invitation(
    pn_buf *out, const pn_stored_invitation *invitation)
{
    char id[ID_HEX + 1];
    char key[KEY_HEX + 1] = "-";
    char role[ENCODED_CAP];
    char label[ENCODED_CAP];
    char line[2 * ENCODED_CAP + 256];
    pn_err err;

    pn_hex_write(invitation->id, sizeof(invitation->id), id);
    if (invitation->has_key) {
        pn_hex_write(invitation->key.bytes, PN_KEY_LEN, key);
    }
    encode(invitation->role, role);
    encode(invitation->label, label);
    (void)snprintf(line, sizeof(line),
        INVITATION "%s %s %" PRId64 " %u %s %s %s\n", id, key,
        invitation->until_s, invitation->uses,
        invitation->is_cancelled ? "cancelled" : "open", role, label);
    err = append(out, line);
    pn_wipe(key, sizeof(key));
    pn_wipe(line, sizeof(line));
    for (size_t i = 0; err == PN_OK && i < invitation->n_joiners; i++) {
        err = append_joiner(out, &invitation->joiners[i]);
    }
    return err;
}

pn_err pn_invitations_write(const pn_invitation_list *list, pn_buf *out)
{
    char port[sizeof(HEADING PORT) + 8];
    /* Reserved at once, so that no copy of a key stays behind. */
    pn_err err = pn_buf_reserve(out, FILE_MAX);

    (void)snprintf(port, sizeof(port), HEADING PORT "%u\n", list->port);
    if (err == PN_OK) {
        err = append(out, port);
    }
    for (size_t i = 0; err == PN_OK && i < list->n; i++) {
        err = append_invitation(out, &list->entries[i]);
    }
    return err == PN_OK ? append(out, END) : err;
}

/* ---- the file --------------------------------------------------------------
 */

static pn_err parse(const void *owner, const uint8_t *data, size_t len,
    void *ret_list, pn_why *ret_why)
{
    const char *why = "";
    pn_err err = pn_invitations_parse(data, len, ret_list, &why);

    (void)owner;
    return pn_why_fail(ret_why, err, "%s", why);
}

static pn_err write_list(const void *list, pn_buf *out)
{
    return pn_invitations_write(list, out);
}

static const pn_guarded_format format = {
    .access = PN_GUARDED_OURS,
    .parse = parse,
    .write = write_list,
    .consequence = "no invitation holds; remove it, and invite again",
    .too_long = "it is longer than peernet writes it",
};

/* Whoever else could read it may have what is in it, so it is not mended. */
static pn_err check_mode(const pn_guarded_dir *dir, pn_why *ret_why)
{
    struct stat st;

    if (fstatat(dir->fd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0
        || !PN_REFUSE_IF(invitations_mode, (st.st_mode & 077) != 0)) {
        return PN_OK; /* what else is wrong with it is found by reading */
    }
    return pn_guarded_fail(dir, ret_why, PN_PERMISSION, FILE_NAME,
        "has mode %04o, expected 0600: other users may know its invitations; "
        "remove it, and invite again",
        (unsigned)(st.st_mode & 07777));
}

pn_err pn_invitations_load(
    const pn_guarded_dir *dir, pn_invitation_list *list, pn_why *ret_why)
{
    pn_err err;

    pn_wipe(list, sizeof(*list));
    err = check_mode(dir, ret_why);
    if (err == PN_OK) {
        err = pn_guarded_load(
            dir, FILE_NAME, &format, NULL, FILE_MAX, list, ret_why, NULL);
    }
    return err == PN_NOT_FOUND ? PN_OK : err;
}

/* Replacing keeps the old file as a backup, with keys that were wiped. It is
 * overwritten unless another name has the same content, and removed. */
static void wipe_backup(const pn_guarded_dir *dir)
{
    static const uint8_t zeros[4096];
    struct stat st;
    int fd = openat(dir->fd, BACKUP, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
        && st.st_nlink == 1) {
        for (off_t at = 0; at < st.st_size && at < 2 * FILE_MAX;
             at += (off_t)sizeof(zeros)) {
            if (pwrite(fd, zeros, sizeof(zeros), at) < 0) {
                break;
            }
        }
        (void)fdatasync(fd);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (PN_SAFEGUARD(invitations_backup)) {
        (void)!pn_guarded_remove(dir, BACKUP, NULL);
    }
}

/* ---- editing ---------------------------------------------------------------
 */

typedef struct edit {
    const pn_guarded_dir *dir;
    int lock_fd;
    bool is_dirty;
    pn_invitation_list *list;
} edit;

static void edit_end(edit *e)
{
    pn_invitation_list_free(e->list);
    (void)close(e->lock_fd);
}

static void wipe_key(edit *e, pn_stored_invitation *invitation)
{
    if (invitation->has_key && PN_SAFEGUARD(invitation_key_wiped)) {
        pn_wipe(&invitation->key, sizeof(invitation->key));
        invitation->has_key = false;
        e->is_dirty = true;
    }
}

/* Wipes the keys that are of no more use, and drops what is long over. */
static void tidy(edit *e, int64_t now_s)
{
    pn_invitation_list *list = e->list;
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        pn_stored_invitation *invitation = &list->entries[i];

        if (!is_live(invitation, now_s)) {
            wipe_key(e, invitation);
        }
        if (invitation->has_key
            || now_s < invitation->until_s + PN_INVITATION_KEPT_S) {
            if (n != i) {
                list->entries[n] = *invitation;
            }
            n++;
        }
    }
    e->is_dirty = e->is_dirty || n != list->n;
    pn_wipe(
        &list->entries[n], (PN_INVITATIONS_MAX - n) * sizeof(list->entries[0]));
    list->n = n;
}

static pn_err edit_begin(
    const pn_guarded_dir *dir, edit *e, int64_t now_s, pn_why *ret_why)
{
    pn_err err;

    *e = (edit){.dir = dir, .lock_fd = -1};
    e->list = pn_invitation_list_new();
    if (e->list == NULL) {
        return PN_NOMEM;
    }
    err = pn_guarded_lock(dir, true, &e->lock_fd, ret_why);
    if (err != PN_OK) {
        pn_invitation_list_free(e->list);
        return err;
    }
    err = pn_invitations_load(dir, e->list, ret_why);
    if (err != PN_OK) {
        edit_end(e);
        return err;
    }
    tidy(e, now_s);
    return PN_OK;
}

/* Writes what changed. Ends the edit in any case. */
static pn_err edit_commit(edit *e, int64_t now_s, pn_why *ret_why)
{
    pn_err err = PN_OK;

    tidy(e, now_s);
    if (e->is_dirty) {
        err = pn_guarded_save(e->dir, FILE_NAME, &format, e->list, ret_why);
    }
    wipe_backup(e->dir);
    edit_end(e);
    return err;
}

/* Makes room: the oldest of those that are over goes. */
static bool make_room(pn_invitation_list *list, int64_t now_s)
{
    size_t i = 0;

    if (list->n < PN_INVITATIONS_MAX) {
        return true;
    }
    while (i < list->n && is_live(&list->entries[i], now_s)) {
        i++;
    }
    if (i == list->n) {
        return false;
    }
    memmove(&list->entries[i], &list->entries[i + 1],
        (list->n - i - 1) * sizeof(list->entries[0]));
    list->n--;
    return true;
}

pn_err pn_invitations_add(const pn_guarded_dir *dir,
    const pn_stored_invitation *invitation, uint16_t port, int64_t now_s,
    pn_why *ret_why)
{
    edit e;
    pn_err err = edit_begin(dir, &e, now_s, ret_why);

    if (err != PN_OK) {
        return err;
    }
    if (!make_room(e.list, now_s)) {
        edit_end(&e);
        return pn_guarded_fail(dir, ret_why, PN_FULL, FILE_NAME,
            "has %d open invitations, expected fewer; cancel one",
            PN_INVITATIONS_MAX);
    }
    e.list->entries[e.list->n++] = *invitation;
    e.list->port = port;
    e.is_dirty = true;
    return edit_commit(&e, now_s, ret_why);
}

pn_err pn_invitations_cancel(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s,
    pn_why *ret_why)
{
    pn_stored_invitation *invitation;
    edit e;
    pn_err err = edit_begin(dir, &e, now_s, ret_why);

    if (err != PN_OK) {
        return err;
    }
    invitation = find_id(e.list, id);
    if (invitation == NULL || !is_live(invitation, now_s)) {
        err = edit_commit(&e, now_s, ret_why);
        return err == PN_OK ? PN_NOT_FOUND : err;
    }
    invitation->is_cancelled = true;
    wipe_key(&e, invitation);
    e.is_dirty = true;
    return edit_commit(&e, now_s, ret_why);
}

pn_err pn_invitations_sweep(
    const pn_guarded_dir *dir, int64_t now_s, pn_why *ret_why)
{
    edit e;
    pn_err err = edit_begin(dir, &e, now_s, ret_why);

    return err == PN_OK ? edit_commit(&e, now_s, ret_why) : err;
}

pn_err pn_invitations_find(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s,
    pn_secret_key *ret_key, pn_why *ret_why)
{
    pn_invitation_list *list = pn_invitation_list_new();
    const pn_stored_invitation *invitation;
    pn_err err;

    if (list == NULL) {
        return PN_NOMEM;
    }
    err = pn_invitations_load(dir, list, ret_why);
    if (err == PN_OK) {
        invitation = find_id(list, id);
        err = PN_NOT_FOUND;
        if (invitation != NULL && invitation->has_key
            && is_live(invitation, now_s)) {
            *ret_key = invitation->key;
            err = PN_OK;
        }
    }
    pn_invitation_list_free(list);
    return err;
}

/* Takes a use. False: *ret_state says why not. */
static bool take_use(edit *e, pn_stored_invitation *invitation,
    const pn_public_key *joiner, int64_t now_s, pn_invitation_state *ret_state)
{
    pn_invitation_joiner *again;

    *ret_state = invitation == NULL
                     ? PN_INVITATION_UNKNOWN
                     : pn_invitation_get_state(invitation, now_s);
    if (*ret_state != PN_INVITATION_OPEN && *ret_state != PN_INVITATION_USED) {
        return false;
    }
    again = find_joiner(invitation, joiner);
    if (again != NULL) {
        *ret_state = PN_INVITATION_OPEN;
        return true;
    }
    if (*ret_state == PN_INVITATION_USED
        || PN_REFUSE_IF(invitation_joiners,
            invitation->n_joiners == PN_INVITATION_USES_MAX)) {
        *ret_state = PN_INVITATION_USED;
        return false;
    }
    invitation->joiners[invitation->n_joiners++] = (pn_invitation_joiner){
        .key = *joiner};
    invitation->uses--;
    e->is_dirty = true;
    return true;
}

pn_err pn_invitations_take(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], const pn_public_key *joiner,
    int64_t now_s, pn_stored_invitation *ret_taken,
    pn_invitation_state *ret_state, pn_why *ret_why)
{
    pn_stored_invitation *invitation;
    bool is_taken;
    edit e;
    pn_err err = edit_begin(dir, &e, now_s, ret_why);

    if (err != PN_OK) {
        return err;
    }
    invitation = find_id(e.list, id);
    is_taken = take_use(&e, invitation, joiner, now_s, ret_state);
    if (is_taken) {
        *ret_taken = *invitation;
        pn_wipe(&ret_taken->key, sizeof(ret_taken->key));
        ret_taken->has_key = false;
    }
    err = edit_commit(&e, now_s, ret_why);
    return err == PN_OK && !is_taken ? PN_DENIED : err;
}

pn_err pn_invitations_confirm(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], const pn_public_key *joiner,
    int64_t now_s, pn_why *ret_why)
{
    pn_stored_invitation *invitation;
    pn_invitation_joiner *found = NULL;
    edit e;
    pn_err err = edit_begin(dir, &e, now_s, ret_why);

    if (err != PN_OK) {
        return err;
    }
    invitation = find_id(e.list, id);
    if (invitation != NULL) {
        found = find_joiner(invitation, joiner);
    }
    if (found != NULL && !found->is_stored) {
        found->is_stored = true;
        e.is_dirty = true;
    }
    return edit_commit(&e, now_s, ret_why);
}
